"""Counts of clips and hours."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.data.manifest import read_manifest
from audiostride.report.splits import count_splits


def test_clips_and_hours_of_every_split(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.zeros(8000 * 36), 8000)
    (tmp_path / "m.csv").write_text(
        "path,split,label,start_s,duration_s\n"
        "a.wav,odd,x,,\n"  # 36 s, the whole
        "a.wav,train,x,30,\n"  # the last 6 s
        "a.wav,train,y,30,60\n"  # no more than there is
        "a.wav,train,,0,1\n"  # of another task
        "a.wav,test,y,0,18\n"
        "gone.wav,test,y,0,1\n"
    )
    train, test, odd = count_splits(read_manifest(tmp_path / "m.csv"), "label")
    assert (train.name, train.n_clips, train.n_of_class) == ("train", 2, {"x": 1, "y": 1})
    assert train.hours == pytest.approx(12 / 3600)
    assert (test.n_clips, test.n_unread, test.hours) == (2, 1, pytest.approx(18 / 3600))
    assert (odd.name, odd.hours, odd.n_unread) == ("odd", pytest.approx(0.01), 0)
