"""Probabilities of windows and files, whatever they are computed together with."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from audiostride.data.audio import read_blocks
from audiostride.data.consecutive import consecutive_windows
from audiostride.data.recordings import find_inputs
from audiostride.errors import UserError
from audiostride.evaluation.probabilities import probabilities
from audiostride.evaluation.traits import Traits
from audiostride.loading import load_model
from audiostride.prediction.model import WindowModel
from audiostride.prediction.stream import (
    FileFailed,
    FileResult,
    Result,
    WindowResult,
    batch_rows,
    check_tasks,
    predict_files,
    window_samples,
)
from audiostride.runs.checkpoint import load_run

TASKS = ("tone", "place")


@pytest.fixture(scope="module")
def model(untrained: Path) -> WindowModel:
    return load_model(untrained, "cpu")


def predict(model: WindowModel, paths: list[Path]) -> list[Result]:
    return list(predict_files(model, paths, TASKS, n_window=16000, n_hop=8000, n_threads=2))


def of_path(results: list[Result], path: Path) -> list[bytes]:
    return [
        b"".join(values.tobytes() for values in result.probabilities.values())
        for result in results
        if result.path == path and not isinstance(result, FileFailed)
    ]


def test_windows_and_files_are_those_of_the_model_called_window_by_window(model: WindowModel, field: Path) -> None:
    path = field / "stereo.wav"
    *windows, of_file = predict(model, [path])
    expected = [model.logits(window[None]) for window in consecutive_windows(read_blocks(path, 16000), 16000, 8000)]
    assert len(windows) == len(expected) == 3
    assert isinstance(of_file, FileResult)
    assert of_file.n_windows == 3
    assert of_file.duration_s == pytest.approx(1.6, abs=1e-3)
    for task, temperature in (("tone", 0.1), ("place", 1.0)):
        logits = np.concatenate([single[task] for single in expected])
        for window, row in zip(windows, logits, strict=True):
            assert isinstance(window, WindowResult)
            np.testing.assert_allclose(window.probabilities[task], probabilities(row, temperature), atol=1e-4)
        mean = logits.mean(axis=0)
        np.testing.assert_allclose(of_file.probabilities[task], probabilities(mean, temperature), atol=1e-4)


def test_results_do_not_depend_on_the_company_to_the_last_bit(model: WindowModel, field: Path) -> None:
    paths = find_inputs([str(field)])
    together = predict(model, paths)
    for path in paths:
        assert of_path(together, path) == of_path(predict(model, [path]), path)
    backwards = predict(model, paths[::-1])
    assert all(of_path(together, path) == of_path(backwards, path) for path in paths)


def test_more_windows_than_a_batch(model: WindowModel, tmp_path: Path) -> None:
    n_rows = batch_rows(16000, 16000)
    sf.write(tmp_path / "long.wav", np.zeros(8000 * (2 * n_rows + 3)), 16000)
    *windows, of_file = predict(model, [tmp_path / "long.wav"])
    assert len(windows) == 2 * n_rows + 2
    assert isinstance(of_file, FileResult)
    starts = [window.start_s for window in windows if isinstance(window, WindowResult)]
    assert starts == [0.5 * i for i in range(len(windows))]


def test_long_windows_make_small_batches() -> None:
    assert batch_rows(16000, 16000) > batch_rows(160000, 16000) > batch_rows(16000 * 3600, 16000) == 1


def test_a_bad_recording_does_not_touch_its_neighbours(model: WindowModel, field: Path, tmp_path: Path) -> None:
    sound = np.zeros(40000, np.float32)
    sound[35000] = np.nan
    bad = tmp_path / "bad.wav"
    sf.write(bad, sound, 16000, subtype="FLOAT")
    good = [field / "stereo.wav", field / "monday/rec.wav"]
    results = predict(model, [good[0], bad, good[1]])
    assert [type(result) for result in results if result.path == bad][-1] is FileFailed
    for path in good:
        assert of_path(results, path) == of_path(predict(model, [path]), path)


def test_a_recording_shorter_than_a_frame_is_no_answer(model: WindowModel, tmp_path: Path) -> None:
    for n in (10, 399, 400):
        sf.write(tmp_path / f"{n}.wav", np.full(n, 0.1), 16000)
    results = predict(model, [tmp_path / "10.wav", tmp_path / "399.wav", tmp_path / "400.wav"])
    ends = [result for result in results if not isinstance(result, WindowResult)]
    assert ends[:2] == [FileFailed(tmp_path / f"{n}.wav", "shorter than a frame of 25 ms") for n in (10, 399)]
    assert isinstance(ends[2], FileResult)
    assert (ends[2].duration_s, ends[2].n_windows) == (0.025, 1)


def test_defaults_are_the_window_of_the_model_and_half_of_it(model: WindowModel) -> None:
    assert window_samples(model, None, None) == (16000, 8000)
    assert window_samples(model, 2.0, None) == (32000, 16000)
    assert window_samples(model, None, 0.1) == (16000, 1600)


@pytest.mark.parametrize(
    ("window_s", "hop_s", "told"),
    [(0.0, None, "window_s=0"), (None, 0.0, "hop_s=0"), (None, float("nan"), "hop_s=nan"), (4000.0, 1.0, "3600")],
)
def test_windows_out_of_range_are_told(
    model: WindowModel, window_s: float | None, hop_s: float | None, told: str
) -> None:
    with pytest.raises(UserError, match=told):
        window_samples(model, window_s, hop_s)


def test_a_window_shorter_than_a_frame_is_told(model: WindowModel) -> None:
    with pytest.raises(UserError, match=r"window_s=0.001: .* needs windows of 0.025 s or more"):
        window_samples(model, 0.001, None)


def test_a_model_of_one_window_takes_no_other() -> None:
    class Fixed:
        path, sample_rate, n_window, min_window, takes_any_window = Path("m.onnx"), 16000, 16000, 16000, False
        classes: Mapping[str, tuple[str, ...]] = {"tone": ("a", "b")}
        temperatures: Mapping[str, float] = {"tone": 1.0}
        traits: Mapping[str, Traits] = {"tone": Traits()}

        def logits(self, windows: np.ndarray) -> dict[str, np.ndarray]:
            return {"tone": np.zeros((len(windows), 2), np.float32)}

    with pytest.raises(UserError, match="takes windows of 1 s only"):
        window_samples(Fixed(), 2.0, None)


def test_tasks_keep_the_order_of_the_model(model: WindowModel) -> None:
    assert check_tasks(model, ("place", "tone")) == TASKS
    assert check_tasks(model, ()) == TASKS
    with pytest.raises(UserError, match="expected one of tone, place"):
        check_tasks(model, ("bird",))


def test_temperatures_go_along_with_the_checkpoint(model: WindowModel, untrained: Path, tmp_path: Path) -> None:
    assert model.temperatures == {"tone": 0.1, "place": 1.0}
    copy = tmp_path / "model.safetensors"
    copy.write_bytes((untrained / "checkpoints/best.safetensors").read_bytes())
    assert load_model(copy, "cpu").temperatures == {"tone": 0.1, "place": 1.0}


def test_the_model_of_a_run_is_that_of_its_checkpoint(model: WindowModel, untrained: Path) -> None:
    import torch

    windows = np.random.default_rng(0).uniform(-1, 1, (40, 16000)).astype(np.float32)
    with torch.inference_mode():
        expected = load_run(untrained).model(torch.from_numpy(windows))
    found = model.logits(windows)
    for task in TASKS:
        np.testing.assert_allclose(found[task], expected[task].numpy(), atol=1e-4)


def test_what_predicts_imports_no_torch() -> None:
    code = (
        "import sys, audiostride.cli.predict, audiostride.cli.listen, audiostride.loading;"
        "import audiostride.prediction.folder, audiostride.prediction.live, audiostride.prediction.predictor;"
        "import audiostride, audiostride.data.recordings;"
        "audiostride.load;"
        "print([m for m in ('torch', 'torchaudio', 'librosa', 'pyarrow', 'pydantic') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
