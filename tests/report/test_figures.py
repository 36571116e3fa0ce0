"""Figures as pictures that stand in the page."""

import base64

import numpy as np
import pytest

from audiostride.evaluation.calibration import Bin
from audiostride.report.figures import (
    N_POINTS,
    Picture,
    accuracy_curve,
    frequency_marks,
    learning_rates,
    loss_curve,
    reliability_diagram,
    spectrogram,
)
from audiostride.vocabulary import Kind

LINES = [
    {
        "step": 10 * i,
        "loss": {"a$_{": 1 / i},
        "accuracy": {"a$_{": 0.5},
        "learning_rate": 0.1,
        "strides": {"time": [2, 1]},
    }
    for i in range(1, 6)
]


def content(picture: Picture) -> str:
    return base64.b64decode(picture.uri.partition(",")[2]).decode(errors="replace")


def test_names_are_no_formulas() -> None:
    picture = loss_curve(LINES, "a$_{")
    assert picture is not None
    assert picture.uri.startswith("data:image/svg+xml;base64,")
    assert picture.alt == "Loss of a$_{ over training, from 1 to 0.2"


def test_the_loss_in_validation_stands_beside_that_in_training() -> None:
    lines = [*LINES, *({"step": 20 * i, "validation_loss": {"a$_{": 3 - i}} for i in (1, 2))]
    picture = loss_curve(lines, "a$_{")
    assert picture is not None
    assert picture.alt == "Loss of a$_{ over training, from 1 to 0.2; in validation at least 1.000"
    assert ">validation<" in content(picture)
    without = loss_curve(LINES, "a$_{")
    assert without is not None
    assert ">validation<" not in content(without)


@pytest.mark.parametrize(
    ("measures", "kind", "alt"),
    [
        ({}, "single", "Accuracy of t over training; accuracy in validation at best 0.120"),
        (
            {"measures": {"t": "accuracy"}},
            "single",
            "Accuracy of t over training; accuracy in validation at best 0.120",
        ),
        (
            {"measures": {"t": "macro_f1"}},
            "single",
            "Accuracy and macro F1 of t over training; macro F1 in validation at best 0.120",
        ),
        ({"measures": {"t": "map"}}, "multilabel", "F1 and mAP of t over training; mAP in validation at best 0.120"),
        ({"measures": {"t": ["map"]}}, "single", "Accuracy of t over training; accuracy in validation at best 0.120"),
    ],
)
def test_what_validation_measures_is_named(measures: dict[str, object], kind: Kind, alt: str) -> None:
    lines = [{"step": 1, "accuracy": {"t": 0.9}}, {"step": 1, "validation": {"t": 0.12}} | measures]
    picture = accuracy_curve(lines, "t", kind)
    assert picture is not None
    assert picture.alt == alt
    assert f">{alt.split('; ')[1].removesuffix(' at best 0.120')}<" in content(picture)


def test_the_same_figure_has_the_same_bytes() -> None:
    assert accuracy_curve(LINES, "a$_{") == accuracy_curve(LINES, "a$_{")


def test_a_long_curve_is_thinned_to_means() -> None:
    def n_bytes(n: int) -> int:
        lines = [{"step": i, "loss": {"t": 1 + i % 2}} for i in range(n)]
        picture = loss_curve(lines, "t")
        assert picture is not None
        return len(picture.uri)

    assert n_bytes(50 * N_POINTS) < 1.5 * n_bytes(N_POINTS)


@pytest.mark.parametrize(
    "lines", [[], [{"step": 1}], [{"step": 1, "loss": 3, "accuracy": {"t": None}, "strides": None}]]
)
def test_what_was_not_logged_is_left_out(lines: list[dict[str, object]]) -> None:
    assert loss_curve(lines, "t") is None
    assert accuracy_curve(lines, "t") is None
    assert learning_rates(lines) is None


def test_a_run_that_diverged_shows_what_is_finite() -> None:
    picture = loss_curve([{"step": 1, "loss": {"t": 2.0}}, {"step": 2, "loss": {"t": float("nan")}}], "t")
    assert picture is not None
    assert picture.alt.endswith("from 2 to 2")


def test_the_diagram_tells_calibrated_from_not() -> None:
    bins = [Bin(3, 0.5, 0.4), Bin(9, 0.9, 0.8)]
    assert "calibrated" not in content(reliability_diagram(bins, None, "t"))
    assert "calibrated" in content(reliability_diagram(bins, bins, "t"))


@pytest.mark.parametrize("band_hz", [np.geomspace(60, 7800, 64), np.linspace(1, 15, 64), np.linspace(0, 24000, 40)])
def test_frequencies_are_named_where_they_are_and_apart(band_hz: np.ndarray) -> None:
    marks = frequency_marks(band_hz.tolist())
    for hz, place in marks.items():
        assert np.interp(place - 0.5, np.arange(len(band_hz)), band_hz) == pytest.approx(hz)
    assert np.all(-np.diff(list(marks.values())) > len(band_hz) / 8)
    assert len(marks) >= (band_hz[-1] > 20)


def test_a_spectrogram_of_noise_is_small() -> None:
    noise = np.random.default_rng(0).standard_normal((64, 500)).astype(np.float32)
    picture = spectrogram(
        noise, np.geomspace(60, 7800, 64).tolist(), start_s=0, duration_s=5, window_s=(0, 1), alt="noise"
    )
    assert picture.uri.startswith("data:image/png;base64,")
    assert len(picture.uri) < 45_000
