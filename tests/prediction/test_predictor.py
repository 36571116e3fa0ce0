"""Arrays and files from Python give the same, and what is no sound is refused by name."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import audiostride
from audiostride.errors import ArgumentError, DataError
from audiostride.prediction.predictor import Prediction, Predictor


@pytest.fixture(scope="module")
def predictor(untrained: Path) -> Predictor:
    return audiostride.load(untrained, device="cpu")


def assert_same(a: Prediction, b: Prediction, tolerance: float = 1e-6) -> None:
    np.testing.assert_array_equal(a.start_s, b.start_s)
    np.testing.assert_allclose(a.end_s, b.end_s, atol=1e-4)
    assert a.tasks.keys() == b.tasks.keys()
    for task, of_task in a.tasks.items():
        assert of_task.classes == b.tasks[task].classes
        np.testing.assert_allclose(of_task.probabilities, b.tasks[task].probabilities, atol=tolerance)
        np.testing.assert_allclose(of_task.window_probabilities, b.tasks[task].window_probabilities, atol=tolerance)


def test_what_a_prediction_holds(predictor: Predictor, field: Path) -> None:
    result = predictor.predict(field / "monday/rec.wav")
    assert result.duration_s == pytest.approx(2.3)
    np.testing.assert_allclose(result.start_s, [0, 0.5, 1, 1.5])
    np.testing.assert_allclose(result.end_s, [1, 1.5, 2, 2.3])
    tone = result.tasks["tone"]
    assert tone.classes == ("low", "mid", "high")
    assert tone.best == tone.classes[int(np.argmax(tone.probabilities))]
    assert tone.window_probabilities.shape == (4, 3)
    np.testing.assert_allclose(tone.probabilities.sum(), 1)
    np.testing.assert_allclose(tone.window_probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("name", ["monday/rec.wav", "tuesday/rec.flac", "stereo.wav"])
def test_an_array_gives_what_its_file_gives(predictor: Predictor, field: Path, name: str) -> None:
    samples, rate = sf.read(field / name)
    assert_same(predictor.predict(samples.T, rate), predictor.predict(str(field / name)), 1e-4)


def test_int16_is_full_scale(predictor: Predictor, field: Path) -> None:
    path = field / "monday/rec.wav"
    assert_same(predictor.predict(sf.read(path, dtype="int16")[0], 16000), predictor.predict(path))


def test_double_precision_and_hops(predictor: Predictor) -> None:
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 24000)
    assert_same(predictor.predict(sound, 16000), predictor.predict(sound.astype(np.float32), 16000))
    assert len(predictor.predict(sound, 16000, hop_s=0.125).start_s) == 5


NAN = np.array([0.0, np.nan] * 8000)


@pytest.mark.parametrize(
    ("audio", "rate", "told"),
    [
        (np.zeros(0), 16000, r"audio=float64 \(0,\): expected at least one sample"),
        (NAN, 16000, "NaN or infinite samples, expected finite"),
        (np.full(16000, np.inf), 16000, "NaN or infinite samples, expected finite"),
        (
            np.zeros((16000, 2)),
            16000,
            r"audio=float64 \(16000, 2\): expected the shape \(channel, time\): pass audio\.T",
        ),
        (np.zeros((1, 1, 16000)), 16000, r"expected the shape \(time,\) or \(channel, time\)"),
        (np.zeros((33, 16000)), 16000, r"\(33, 16000\): expected at most 32 channels; .* as a list"),
        (np.zeros(16000, np.int32), 16000, r"audio=int32 \(16000,\): expected floats in .* or int16"),
        (np.zeros(199), 8000, "audio=waveform: shorter than a frame of 25 ms"),
        (np.zeros(16000), None, "sample_rate=None: expected that of the waveform"),
        (np.zeros(16000), 0, "sample_rate=0: expected that of the waveform"),
    ],
)
def test_what_is_no_sound_is_refused_by_name(
    predictor: Predictor, audio: np.ndarray, rate: int | None, told: str
) -> None:
    with pytest.raises(ArgumentError, match=told):
        predictor.predict(audio, rate)


def test_a_file_has_its_own_rate(predictor: Predictor, field: Path) -> None:
    with pytest.raises(ArgumentError, match="sample_rate=8000: a file has its own, expected None"):
        predictor.predict(field / "stereo.wav", sample_rate=8000)


@pytest.mark.parametrize("name", ["none.wav", "text.wav", "short.wav"])
def test_a_file_that_cannot_be_used_is_named(predictor: Predictor, tmp_path: Path, name: str) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    sf.write(tmp_path / "short.wav", np.zeros(399), 16000)
    with pytest.raises(DataError, match=name):
        predictor.predict(tmp_path / name)


def test_a_list_is_a_batch(predictor: Predictor, field: Path) -> None:
    clips = [np.random.default_rng(i).uniform(-0.5, 0.5, 16000 + 9000 * i) for i in range(3)]
    for alone, together in zip(clips, predictor.predict(clips, 16000), strict=True):
        assert_same(predictor.predict(alone, 16000), together, 1e-5)
    paths = [field / "stereo.wav", str(field / "monday/rec.wav")]
    for path, together in zip(paths, predictor.predict(tuple(paths)), strict=True):
        assert_same(predictor.predict(path), together, 1e-5)


def test_an_empty_list_gives_an_empty_list(predictor: Predictor) -> None:
    assert predictor.predict([]) == []


def test_one_prediction_runs_the_model_once(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    run = predictor.model.logits
    monkeypatch.setattr(predictor.model, "logits", lambda windows: batches.append(len(windows)) or run(windows))
    predictor.predict(np.zeros(16000, np.float32), 16000)
    assert batches == [1]
