"""Which public data set a folder holds, by the files that only its release has."""

from pathlib import Path

from audiostride.datasets.birds import has_birds

MARKERS = {
    "speech_commands": "testing_list.txt",
    "nsynth": "nsynth-train/examples.json",
    "tut_scenes_2018": "evaluation_setup/fold1_train.txt",
    "esc50": "meta/esc50.csv",
    "urbansound8k": "metadata/UrbanSound8K.csv",
}


def recognise_layout(root: Path) -> str | None:
    """Name the data set, as `prepare` knows it, whose unpacked release lies in `root`; None for another folder."""
    for name, marker in MARKERS.items():
        if (root / marker).is_file():
            return name
    return "bird_detection_2018" if has_birds(root) else None
