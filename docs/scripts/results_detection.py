"""Detection measured: the numbers of docs/results/detection.md, each by the commands that a user types.

    python docs/scripts/results_detection.py annotations|mixtures|listen DATA WORK [--seed N]

DATA holds `annotations_mini`, `birds_mini`, `scenes_mini` and `speech_commands_mini`. WORK keeps manifests and runs;
what is there is not done again. Set OMP_NUM_THREADS=1 to run several parts side by side.

- annotations: words in recordings of speakers that were not heard in training. Prepare, train, choose thresholds at 60
  false alarms per hour, and score the events.
- mixtures: one multi-label task against one yes-no task per class, at the same steps, on mixtures of birds and scenes.
- listen: a keyword model without and with a background class, on 20 minutes of field recordings that it has not heard
  (false alarms per hour) and on words of a speaker that it has not heard (recall).
"""

import argparse
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from audiostride.data.audio import read_blocks
from audiostride.data.manifest import Clip, read_manifest, write_manifest

ROOT = Path(__file__).parents[2]
RATE = 16000
STEPS = 600
UNHEARD_S = 20 * 60  # of field recordings
QUIET = 10 ** (-60 / 20)  # level of the noise between words
GAP_S = 1.5  # between words


def audiostride(*arguments: object) -> str:
    """Run a command; its standard output."""
    command = [sys.executable, "-m", "audiostride", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def train(recipe: Path, run: Path, *settings: str) -> Path:
    """Train a recipe unless it is done."""
    if not (run / "calibration.json").exists():
        overrides = [argument for setting in settings for argument in ("--set", setting)]
        audiostride("train", recipe, "--run-dir", run, *overrides, "--overwrite")
    return run


def table(titles: str, rows: Iterable[Sequence[object]]) -> None:
    """Print a table in Markdown."""
    print(f"\n| {titles} |\n|{'---|' * (titles.count('|') + 1)}")
    for row in rows:
        print("| " + " | ".join("-" if cell is None else str(cell) for cell in row) + " |")


def show(value: float | None, digits: int = 3) -> str:
    """Write a number."""
    return "-" if value is None else f"{value:.{digits}f}"


# annotations


def annotations(data: Path, work: Path, seed: int) -> None:
    """Score the events of recordings of unseen speakers."""
    root, manifest = data / "annotations_mini", work / "annotations.csv"
    if not manifest.exists():
        windows = ("--window-s", 1, "--hop-s", 0.25, "--background", "none", "--seed", seed)
        audiostride("prepare", "annotations", root, "--out", manifest, *windows)
    recipe = ROOT / "recipes/annotations/mini.yaml"
    run = train(recipe, work / f"annotations-{seed}", f"tasks.words.manifest={manifest}", f"seed={seed}")
    audiostride("thresholds", run, "--target", "false-alarms-per-hour=60")
    rows, det = [], []
    for rules in ((), ("--confirm", "2/3", "--refractory", 0.5)):
        found = json.loads(audiostride("eval", run, "--events", root, "--hop-s", 0.1, *rules, "--json", "-"))
        micro = found["micro"]
        name = " ".join(map(str, rules)) or "none"
        rows.append([name, micro["n_annotated"], micro["n_hits"], micro["n_false_alarms"], *_measures(micro)])
        at = found["one_threshold"]["at_false_alarms_per_hour"]
        det.append([name, *(show(point["miss_rate"]) for point in at.values())])
        limits = list(at)
    table("rules | events | hits | false alarms | precision | recall | F1 | false alarms per hour", rows)
    table("miss rate at false alarms per hour | " + " | ".join(limits), det)


def _measures(counts: dict[str, float]) -> list[str]:
    shares = [show(counts[name]) for name in ("precision", "recall", "f1")]
    return [*shares, show(counts["false_alarms_per_hour"], 1)]


# mixtures

MIXTURES = """
tasks: {tasks}
frontend: {{normalization: peak, top_db: 40}}
model: {{downsampling: diffstride, ramp: folded, width: 0.25}}
training: {{steps: {steps}, batch_size: 32, learning_rate: 3.0e-3, stride_learning_rate: 5.0e-3, schedule: cosine,
  validate_every: {half}, log_every: 100}}
"""


def mixtures(data: Path, work: Path, seed: int) -> None:
    """Compare a multi-label task with a yes-no task per class; either way it is one model."""
    folder = work / "mixtures"
    if not (folder / "manifest.csv").exists():
        script = Path(__file__).with_name("make_mixtures.py")
        subprocess.run(
            [sys.executable, script, data / "birds_mini", data / "scenes_mini", folder], check=True, cwd=ROOT
        )
    manifest = folder / "manifest.csv"
    names = [name for name in read_manifest(manifest).label_columns if name != "labels"]

    def run_of(name: str, tasks: dict[str, dict[str, str]]) -> Path:
        recipe = work / f"{name}.yaml"
        recipe.write_text(MIXTURES.format(tasks=json.dumps(tasks), steps=STEPS, half=STEPS // 2))
        return train(recipe, work / f"{name}-{seed}", f"seed={seed}")

    together = run_of("multilabel", {"sounds": {"manifest": str(manifest), "kind": "multilabel"}})
    yes_no = {name: {"manifest": str(manifest), "label": name} for name in names}
    heads = run_of("yes-no-together", yes_no)

    of_multilabel, of_heads = _by_class(together)["sounds"], _by_class(heads)
    rows = []
    for name in names:
        values = of_multilabel[name], of_heads[name]["yes"]
        rows.append([name, values[0]["n_clips"], *(each["average_precision"] for each in values)])
    means = ["mean (mAP)", "", *(sum(row[i] for row in rows) / len(rows) for i in (2, 3))]
    shown = [[*row[:2], *map(show, row[2:])] for row in [*rows, means]]
    table("class | test clips | one multi-label task | a yes-no task per class", shown)


def _by_class(run: Path) -> dict[str, dict[str, dict]]:
    tasks = json.loads(audiostride("eval", run, "--json", "-"))["tasks"]
    return {task: {each["name"]: each for each in score["by_class"]} for task, score in tasks.items()}


# listen


@dataclass(frozen=True)
class Heard:
    """A detection that `listen` printed."""

    start_s: float
    end_s: float
    name: str


def listen(run: Path, stream: np.ndarray, *options: object) -> list[Heard]:
    """Let `audiostride listen` hear a stream of int16 samples."""
    command = [sys.executable, "-m", "audiostride", "listen", run, *options]
    done = subprocess.run(list(map(str, command)), input=stream.tobytes(), capture_output=True, cwd=ROOT, check=True)
    fields = (line.split("\t") for line in done.stdout.decode().splitlines())
    return [Heard(float(start), float(end), name) for start, end, _, name, _ in fields]


def samples(clips: Iterable[Clip]) -> list[np.ndarray]:
    """Read clips as int16 at 16 kHz."""
    found = []
    for clip in clips:
        waveform = np.concatenate(list(read_blocks(clip.path, RATE, clip.start_s, clip.duration_s)))
        found.append((waveform.clip(-1, 1) * 32767).astype(np.int16))
    return found


def word_stream(clips: Sequence[Clip], seed: int) -> tuple[np.ndarray, list[Heard]]:
    """Put words one after the other, with quiet noise between; the samples, and where the words lie."""
    rng, parts, words, at = np.random.default_rng(seed), [], [], 0
    clips = [clips[i] for i in rng.permutation(len(clips))]  # the same word twice in a row would be one event
    for clip, word in zip(clips, samples(clips), strict=True):
        pause = (QUIET * rng.standard_normal(int(GAP_S * RATE)) * 32767).astype(np.int16)
        parts += [pause, word]
        words.append(Heard((at + len(pause)) / RATE, (at + len(pause) + len(word)) / RATE, clip.labels["label"]))
        at += len(pause) + len(word)
    return np.concatenate(parts), words


def share_found(words: Sequence[Heard], heard: Sequence[Heard]) -> float:
    """Give the share of words of which a detection of the right class overlaps."""
    hits = sum(
        any(h.name == word.name and h.start_s < word.end_s and h.end_s > word.start_s for h in heard) for word in words
    )
    return hits / len(words)


def split_scenes(clips: Sequence[Clip], seed: int) -> tuple[list[Clip], list[Clip], list[Clip]]:
    """Share the field recordings out by source: for training, for validation, and 20 minutes that nobody hears."""
    of_source = defaultdict(list)
    for clip in clips:
        match = re.search(r"\d{5,}", clip.path.name)
        of_source[match.group() if match else clip.path.name].append(clip)
    sources = np.random.default_rng(seed).permutation(sorted(of_source)).tolist()
    unheard, rest, seconds = [], [], 0.0
    for source in sources:
        if seconds < UNHEARD_S:
            unheard += of_source[source]
            seconds += sum(sf.info(clip.path).duration for clip in of_source[source])
        else:
            rest.append(source)
    n_valid = len(rest) // 4
    valid = [clip for source in rest[:n_valid] for clip in of_source[source]]
    return [clip for source in rest[n_valid:] for clip in of_source[source]], valid, unheard


def keywords(data: Path, work: Path, seed: int) -> None:
    """Count false alarms on field recordings and words that are missed, before and after."""
    speech, scenes = work / "speech.csv", work / "scenes.csv"
    if not scenes.exists():
        audiostride("prepare", "speech_commands", data / "speech_commands_mini", "--out", speech)
        audiostride("prepare", "tut_scenes_2018", data / "scenes_mini", "--out", scenes)
        noisy = ("--background", "none", "--out", work / "noise.csv")
        audiostride("prepare", "speech_commands", data / "speech_commands_mini", *noisy)
    train_scenes, valid_scenes, unheard = split_scenes(read_manifest(scenes).clips, seed)
    background = [
        Clip(clip.path, split, {"label": "none"}, float(second), 1.0)
        for split, clips in (("train", train_scenes), ("valid", valid_scenes))
        for clip in clips
        for second in range(int(sf.info(clip.path).duration))
    ]
    write_manifest(work / "background.csv", [*read_manifest(work / "noise.csv").clips, *background])
    recipe = ROOT / "recipes/speech_commands/mini.yaml"
    plain = train(recipe, work / f"words-{seed}", f"tasks.words.manifest={speech}", f"seed={seed}")
    settings = (
        f"tasks.words.manifest={work / 'background.csv'}",
        "tasks.words.background=none",
        "tasks.words.sampling=balanced",
        "augmentation.noise_as_background=0.2",
        "augmentation.noise_colours=[white, pink, brown]",
        "augmentation.time_shift_s=0.2",
        f"seed={seed}",
    )
    trained = train(recipe, work / f"words-background-{seed}", *settings)

    field = np.concatenate(samples(unheard))
    stream, words = word_stream([clip for clip in read_manifest(speech).clips if clip.split == "test"], seed)
    rows = []

    def add(name: str, run: Path, *options: object) -> None:
        alarms = len(listen(run, field, "--refractory", 1, *options))
        heard = listen(run, stream, "--refractory", 1, *options)
        recall = share_found(words, heard)
        rows.append([name, show(alarms / (len(field) / RATE / 3600), 1), alarms, show(recall)])

    add("no background, threshold 0.5", plain, "--threshold", 0.5)
    add("no background, threshold 0.9", plain, "--threshold", 0.9)
    add("background, threshold 0.5", trained, "--threshold", 0.5)
    audiostride("thresholds", trained, "--target", "false-alarms-per-hour=1")
    add("background, thresholds at 1 per hour and class", trained)
    fine = ("--hop-s", 0.125)  # six windows or more hear all of a word
    for confirm in ("3/4", "5/6", "6/7"):
        add(f"the same, confirm {confirm} at a hop of 0.125 s", trained, *fine, "--confirm", confirm)
    add("background, threshold 0.5, confirm 6/7", trained, *fine, "--threshold", 0.5, "--confirm", "6/7")
    minutes = len(field) / RATE / 60
    print(f"\n{minutes:.1f} minutes of {len(unheard)} field recordings, {len(words)} words of unheard speakers")
    table("model and rules | false alarms per hour | false alarms | recall", rows)
    noise = np.random.default_rng(0).normal(0, 0.1, 60 * RATE)
    for name, run in (("without", plain), ("with", trained)):
        n_heard = len(listen(run, (noise * 32767).clip(-32768, 32767).astype(np.int16), "--refractory", 1))
        print(f"a minute of white noise, {name} background: {n_heard} detections")


def main() -> None:
    """Do what the command line says."""
    parts = {"annotations": annotations, "mixtures": mixtures, "listen": keywords}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    parts[options.part](options.data.absolute(), options.work.absolute(), options.seed)


if __name__ == "__main__":
    main()
