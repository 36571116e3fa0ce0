"""Temperatures are those that maximise the likelihood; the error is the gap between confidence and accuracy."""

from pathlib import Path

import numpy as np
import pytest

from audiostride.evaluation.calibration import (
    Calibration,
    calibrate,
    expected_calibration_error,
    fit_temperature,
    probabilities,
    reliability,
)
from audiostride.runs.folder import RunFolder

N_CLIPS, N_CLASSES = 4000, 5


def calibrated_logits(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from the probabilities that they stand for."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((N_CLIPS, N_CLASSES))
    cumulated = probabilities(logits).cumsum(axis=1)
    return logits, (rng.uniform(size=(N_CLIPS, 1)) > cumulated).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(temperature: float) -> None:
    logits, labels = calibrated_logits()
    assert fit_temperature(temperature * logits, labels) == pytest.approx(temperature, rel=0.05)


def test_no_temperature_nearby_is_likelier() -> None:
    logits, labels = calibrated_logits(1)
    best = fit_temperature(logits, labels)

    def loss(temperature: float) -> float:
        logs = np.log(probabilities(logits, temperature))
        right, doubt = logs[np.arange(N_CLIPS), labels], 1 / (N_CLIPS + 2)
        return float(-((1 - doubt) * right + doubt * (logs.sum(axis=1) - right) / (N_CLASSES - 1)).mean())

    assert loss(best) <= min(loss(best * 1.001), loss(best / 1.001))


def test_calibration_lowers_the_error_of_a_model_that_is_too_sure() -> None:
    logits, labels = calibrated_logits()
    found = calibrate(5 * logits, labels)
    assert found.ece_before > 0.1
    assert found.ece_after < 0.03
    assert found.n_clips == N_CLIPS


@pytest.mark.parametrize("n_clips", [10, 40, 400])
def test_a_task_without_a_mistake_is_as_sure_as_its_clips_allow(n_clips: int) -> None:
    labels = np.arange(n_clips) % 3
    probability = probabilities(9 * np.eye(3)[labels], fit_temperature(9 * np.eye(3)[labels], labels))
    assert probability.max(axis=1).mean() == pytest.approx(1 - 1 / (n_clips + 2), rel=1e-6)


def test_labels_that_are_always_wrong_stay_within_the_bounds() -> None:
    assert fit_temperature(np.eye(2), np.array([1, 0])) == pytest.approx(20)


def test_a_temperature_that_helps_other_clips_is_kept() -> None:
    logits, labels = calibrated_logits()
    found = calibrate(3 * logits, labels)
    assert found.kept
    assert found.temperature == pytest.approx(3, rel=0.05)
    assert found.ece_after < found.ece_before


def test_a_perfect_task_keeps_its_own_probabilities() -> None:
    labels = np.arange(40) % 2
    found = calibrate(8 * np.eye(2)[labels], labels)
    assert (found.kept, found.temperature) == (False, 1.0)


def test_a_temperature_that_only_fits_its_own_clips_is_dropped() -> None:
    logits, labels = calibrated_logits()
    found = calibrate(logits[:200], labels[:200])
    assert (found.temperature == 1.0) == (not found.kept) == (found.ece_after >= found.ece_before)


@pytest.mark.parametrize("n_clips", [1, 4])
def test_too_few_clips_keep_no_temperature(n_clips: int) -> None:
    logits, labels = calibrated_logits()
    assert not calibrate(3 * logits[:n_clips], labels[:n_clips]).kept


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf"), None, "warm", True])
def test_what_is_no_temperature_is_refused(temperature: object) -> None:
    with pytest.raises(ValueError, match=r"temperature|finite numbers"):
        Calibration(temperature, 0.1, 0.1, 10)  # type: ignore[arg-type]


@pytest.mark.parametrize("temperature", [1e-320, 1e-9, 1e308])
def test_every_temperature_gives_probabilities(temperature: float) -> None:
    shares = probabilities([[3.0, 1.0, -50.0], [1e30, -1e30, 0.0]], temperature)
    assert np.allclose(shares.sum(axis=1), 1)
    assert shares.argmax(axis=1).tolist() == [0, 0]


def test_the_error_is_that_of_the_definition() -> None:
    probability = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    labels = np.array([0, 1, 1, 1])
    # bins of width 1/2 would hold all; of 1/10: 0.9 (one right of two), 0.6 and 0.7 (right)
    expected = (2 * abs(0.9 - 0.5) + abs(0.6 - 1) + abs(0.7 - 1)) / 4
    assert expected_calibration_error(probability, labels, 10) == pytest.approx(expected)


def test_every_clip_is_in_one_bin_also_the_certain_one() -> None:
    bins = reliability(np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]), np.array([0, 0, 0]))
    assert [b.n_clips for b in bins] == [1, 2]
    assert bins[-1].accuracy == 0.5


def test_a_calibration_is_read_for_its_own_checkpoint_only(tmp_path: Path) -> None:
    tasks = {"words": Calibration(1.5, 0.1, 0.02, 400)}
    RunFolder(tmp_path).write_calibration(600, tasks)
    assert RunFolder(tmp_path).read_calibration(600) == tasks
    assert RunFolder(tmp_path).read_calibration(400) == {}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"step": 600, "tasks": {"words": {"warmth": 1}}}'])
def test_a_damaged_calibration_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "calibration.json").write_text(content)
    assert RunFolder(tmp_path).read_calibration(600) == {}
