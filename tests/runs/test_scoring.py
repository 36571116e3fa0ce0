"""What is written of the scores of a run."""

from pathlib import Path

from audiostride.data.manifest import Clip
from audiostride.runs.scoring import Prediction, RunScore, write_predictions


def test_predictions_list_names_that_are_no_utf8_with_their_bytes(tmp_path: Path) -> None:
    prediction = Prediction(Clip(Path("lat\udce9.wav"), "test"), "tone", "low", "high", 0.5, 1, 1.0)
    write_predictions(tmp_path / "p.csv", RunScore({}, [prediction], None, {}, {}))
    assert (tmp_path / "p.csv").read_text().splitlines()[1] == "lat\\xe9.wav,0,tone,low,high,0.500000,1"
