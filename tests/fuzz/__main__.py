"""`python -m tests.fuzz`: the campaign, and single cases of it."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the attempts run side by side

from tests.fuzz.campaign import KINDS, Tally, run_campaign, try_case
from tests.fuzz.materials import make_materials

N_SHOWN = 5  # failures of a kind


def _show(tally: Tally) -> None:
    print(f"{tally.kind:12} {tally.n_tried:8} {len(tally.failures):8} {tally.seconds:8.0f}", flush=True)
    for seed, reason in list(tally.failures.items())[:N_SHOWN]:
        print(
            f"  {tally.kind}:{seed}: {reason}\n  again: .venv/bin/python -m tests.fuzz --case {tally.kind}:{seed}",
            flush=True,
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Try to make the program fail.")
    parser.add_argument("--seconds", type=float, default=600, help="how long, in all")
    parser.add_argument("--seed", type=int, default=0, help="of the first attempt of every kind")
    parser.add_argument("--jobs", type=int, default=2, help="kinds that are tried side by side")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only this kind; may be repeated")
    parser.add_argument("--case", metavar="KIND:SEED", help="one attempt alone")
    return parser.parse_args()


def main() -> int:
    """Run the campaign, or one case; the exit code is 1 if something failed."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        materials = make_materials(folder)
        if arguments.case:
            kind, _, seed = arguments.case.partition(":")
            reason = try_case(kind, int(seed), materials, folder / "scratch")
            print(reason or "nothing went wrong")
            return int(reason is not None)
        print(f"{'kind':12} {'tried':>8} {'failed':>8} {'seconds':>8}")
        kinds = arguments.kind or list(KINDS)
        tallies = []
        for tally in run_campaign(kinds, arguments.seed, arguments.seconds, folder, arguments.jobs):
            _show(tally)
            tallies.append(tally)
        return int(any(tally.failures for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
