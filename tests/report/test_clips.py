"""The worst clips: which, where in them, and how they sound."""

import base64
import io
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from audiostride.build import build_model
from audiostride.data.manifest import Clip
from audiostride.errors import DataError
from audiostride.evaluation.calibration import Calibration
from audiostride.evaluation.scores import score
from audiostride.prediction.predictor import Predictor
from audiostride.recipe.schema import Recipe
from audiostride.report.clips import (
    EXCERPT_S,
    N_WORST,
    _label_probability,
    encode_mp3,
    excerpt,
    worst_clips,
    worst_indices,
    worst_window,
)
from audiostride.runs.checkpoint import Checkpoint
from audiostride.runs.model import RunModel
from audiostride.runs.scoring import Prediction, RunScore, score_run

CLASSES = ("loud", "silent")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A model that takes any window with a tone for "loud", and a recording of 9 s whose last second is silent."""
    root = tmp_path_factory.mktemp("clips")
    t = np.arange(9 * 16000) / 16000
    sf.write(root / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * t) * (t < 8), 16000)
    rows = ["a.wav,test,loud,,", "a.wav,test,silent,2,1", "a.wav,test,loud,8.5,0.03"]
    (root / "m.csv").write_text("\n".join(["path,split,label,start_s,duration_s", *rows]))
    recipe = Recipe.model_validate({"tasks": {"level": {"manifest": str(root / "m.csv")}}, "model": {"width": 0.06}})
    model = build_model(recipe, {"level": CLASSES}).eval()
    head = model.heads["task_level"]
    with torch.no_grad():
        tone = model.embed(torch.sin(torch.arange(16000) * 0.17)[None]) - model.embed(torch.zeros(1, 16000))
        tone *= 2 / tone.square().sum()
        head.weight.copy_(torch.cat([tone, -tone]))
        head.bias.zero_()
        bias = -model(torch.zeros(1, 16000))["level"][0] + torch.tensor([-1.0, 1.0])
        head.bias.copy_(bias)
    return Checkpoint(root / "x.safetensors", model, recipe, {"level": CLASSES}, 1, {})


def test_the_worst_window_is_the_silent_one_of_a_loud_clip(checkpoint: Checkpoint) -> None:
    clip = Clip(Path(checkpoint.recipe.tasks["level"].manifest).with_name("a.wav"), "test")
    assert worst_window(RunModel(checkpoint), "level", clip, torch.tensor(CLASSES.index("loud"))) == 8
    assert worst_window(RunModel(checkpoint), "level", clip, torch.tensor(CLASSES.index("silent"))) < 8


def test_worst_clips_are_the_ones_with_the_highest_loss(checkpoint: Checkpoint) -> None:
    root = Path(checkpoint.recipe.tasks["level"].manifest).parent
    clips = worst_clips(checkpoint, score_run(checkpoint), "level", root)
    assert [clip.path for clip in clips] == ["a.wav"] * 3
    of_label = [clip.label_probability for clip in clips]
    assert of_label == sorted(of_label)
    of_tone, of_whole, of_click = sorted(clips, key=lambda clip: clip.excerpt_s)
    assert (of_tone.label, of_tone.predicted) == ("silent", "loud")
    assert of_tone.window_s == of_tone.excerpt_s == (2, 3)
    assert of_click.excerpt_s == (8.5, pytest.approx(8.53))
    assert (of_whole.window_s, of_whole.excerpt_s) == ((8, 9), (6, 9))
    assert all(clip.audio is not None for clip in clips)


def test_both_probabilities_of_a_clip_are_those_that_prediction_gives(checkpoint: Checkpoint) -> None:
    root = Path(checkpoint.recipe.tasks["level"].manifest).parent
    calibrated = replace(checkpoint, calibration={"level": Calibration(3.0, 0.2, 0.1, 6)})
    silent = next(
        clip for clip in worst_clips(calibrated, score_run(calibrated), "level", root) if clip.label == "silent"
    )
    model = Predictor(RunModel(calibrated))
    seconds = sf.read(root / "a.wav", start=2 * 16000, stop=3 * 16000, dtype="float32")[0]
    loud, quiet = model.predict(seconds, 16000).tasks["level"].probabilities
    assert (silent.probability, silent.label_probability) == pytest.approx((loud, quiet), abs=1e-6)


@pytest.mark.parametrize(("labels", "expected"), [([1.0, 1.0, 0.0], 1 / (1 + math.exp(0.5))), ([0.0, 0.0, 0.0], None)])
def test_the_least_likely_of_several_true_classes_is_calibrated(labels: list[float], expected: float | None) -> None:
    found = _label_probability(torch.tensor([4.0, -2.0, -8.0]), torch.tensor(labels), 4.0)
    assert found == (None if expected is None else pytest.approx(expected))


def test_the_order_is_that_of_the_cross_entropy() -> None:
    logits = torch.tensor([[2.0, 0], [0, 5], [0, 1], [3, 0]])
    labels = torch.tensor([0, 0, 0, 1])
    of_score = score(logits, labels, torch.ones(4), CLASSES)
    predictions = [Prediction(Clip(Path("a"), "test"), "t", "", "", 0, 1, 1.0)] * 4
    result = RunScore({"t": of_score}, predictions, None, {"t": logits}, {"t": labels})
    assert worst_indices(result, "t", 3) == [1, 3, 2]


@pytest.mark.parametrize(
    ("clip", "window_s", "expected"),
    [
        (Clip(Path("a"), "test"), (0, 1), (0, EXCERPT_S)),
        (Clip(Path("a"), "test"), (100, 101), (98, EXCERPT_S)),
        (Clip(Path("a"), "test", {}, 99.5, 1.5), (99.5, 100.5), (99.5, 1.5)),
        (Clip(Path("a"), "test"), (20, 40), (20, EXCERPT_S)),  # a window that may hold little audio in its middle
    ],
)
def test_the_excerpt_stays_in_the_clip(
    clip: Clip, window_s: tuple[float, float], expected: tuple[float, float]
) -> None:
    assert excerpt(clip, window_s) == expected


def decode(uri: str) -> tuple[np.ndarray, int]:
    kind, _, content = uri.partition(",")
    assert kind == "data:audio/mpeg;base64"
    return sf.read(io.BytesIO(base64.b64decode(content)))


def test_the_sound_is_the_recording_at_a_level_that_is_heard() -> None:
    waveform = (1e-3 * np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100)).astype(np.float32)
    heard, rate = decode(encode_mp3(waveform, 44100))
    assert rate == 16000
    assert len(heard) == pytest.approx(16000, abs=1200)  # MP3 pads to whole frames
    assert np.abs(np.fft.rfft(heard[:16000])).argmax() == 1000
    assert np.abs(heard).max() == pytest.approx(0.8, abs=0.1)


def test_silence_stays_silent() -> None:
    assert np.abs(decode(encode_mp3(np.zeros(8000, np.float32), 8000))[0]).max() < 1e-3


def test_an_excerpt_of_noise_is_small() -> None:
    noise = np.random.default_rng(0).standard_normal(round(EXCERPT_S * 16000)).astype(np.float32)
    assert len(encode_mp3(noise, 16000)) < 40_000


def test_many_tasks_share_the_room(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    result = score_run(checkpoint)
    root = Path(checkpoint.recipe.tasks["level"].manifest).parent
    monkeypatch.setattr("audiostride.report.clips.N_WORST_IN_ALL", 2)
    assert len(worst_clips(checkpoint, result, "level", root)) == 2 < N_WORST
    many = RunScore(
        dict.fromkeys("abc", result.scores["level"]), result.predictions, None, result.logits, result.labels
    )
    assert len(worst_clips(checkpoint, many, "level", root)) == 1


def test_a_recording_that_is_gone_meanwhile_is_named(checkpoint: Checkpoint, tmp_path: Path) -> None:
    result = score_run(checkpoint)
    gone = [replace(p, clip=replace(p.clip, path=tmp_path / "gone.wav")) for p in result.predictions]
    with pytest.raises(DataError, match=r"gone\.wav: no such file"):
        worst_clips(checkpoint, replace(result, predictions=gone), "level", tmp_path)
