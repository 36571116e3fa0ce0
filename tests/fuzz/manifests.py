"""Manifests: damaged in their text and their cells, scanned and evaluated on."""

import csv
import io
from pathlib import Path
from random import Random

from tests.fuzz.materials import Materials
from tests.fuzz.mutation import hostile_text, mutate_bytes, mutate_text
from tests.fuzz.outcome import call, check_json

TIMES = ("nan", "-1", "inf", "1e9", "1e-7", "0.1", "9999999", "1e400", "\u0661")


def _cells(rng: Random, text: str) -> str:
    rows = list(csv.reader(io.StringIO(text)))
    if rng.random() < 0.5:
        rows = [[*row, "start_s" if i == 0 else rng.choice(("", "0", *TIMES))] for i, row in enumerate(rows)]
    for _ in range(rng.randint(1, 4)):
        row = rng.choice(rows[rng.choice((0, 1)) :])
        row[rng.randrange(len(row))] = hostile_text(rng)
    lines = io.StringIO()
    csv.writer(lines, lineterminator=rng.choice(("\n", "\r\n", "\r"))).writerows(rows)
    return lines.getvalue()


def _content(rng: Random, text: str) -> bytes:
    match rng.choice(("cells", "cells", "text", "bytes")):
        case "cells":
            return _cells(rng, text).encode(errors="surrogatepass")
        case "text":
            return mutate_text(rng, text).encode(errors="surrogatepass")
        case _:
            return mutate_bytes(rng, text.encode())


def attempt(rng: Random, materials: Materials, folder: Path) -> None:
    """Scan a damaged manifest, and one time in four evaluate a run on it."""
    path = folder / "manifest.csv"
    path.write_bytes(_content(rng, materials.manifest.read_text()))
    root = "--root", materials.manifest.parent
    scanned = call("scan", path, *root, "--json", "-", "--jobs", "1", "--quarantine", folder / "bad.csv")
    scanned.check()
    if scanned.out:
        check_json(scanned.out)
    call("scan", path, *root, "--jobs", "1").check()
    if rng.random() < 0.25:
        there = materials.manifest.parent / f"fuzzed-{folder.name}.csv"
        there.write_bytes(path.read_bytes())
        predictions = folder / "predictions.csv"
        call(
            "eval", materials.run, "--manifest", there, "--predictions", predictions, "--json", folder / "e.json"
        ).check()
        if (folder / "e.json").exists():
            check_json((folder / "e.json").read_text())
        there.unlink()
