"""Choices fit the recordings, and make a recipe that holds."""

from pathlib import Path

import pytest

from audiostride.drafts.choices import (
    Choice,
    choose_frontend,
    choose_task,
    choose_window,
    frame_times_ms,
    mel_sizes,
    thriftier,
)
from audiostride.drafts.schedule import ENOUGH, plan_steps
from audiostride.drafts.spectrum import Spectrum
from audiostride.drafts.survey import Header, Survey
from audiostride.drafts.text import as_values, write_yaml
from audiostride.frontend import LogMel
from audiostride.recipe.schema import Frontend
from audiostride.recipe.yaml_lines import read_yaml


def survey(sample_rate: int, low_hz: float, high_hz: float, *, is_found: bool = True) -> Survey:
    headers = {Path(f"{i}.wav"): Header(sample_rate, 1, 1.0) for i in range(10)}
    return Survey(10, headers, {}, [1.0] * 10, Spectrum(low_hz, high_hz, is_found), 10)


@pytest.mark.parametrize(
    ("sample_rate", "low_hz", "high_hz", "expected_rate"),
    [
        pytest.param(256000, 17e3, 70e3, 192000, id="bats"),
        pytest.param(44100, 400, 1300, 8000, id="frogs"),
        pytest.param(48000, 1000, 11000, 32000, id="birds"),
        pytest.param(22050, 40, 11025, 22050, id="all"),
        pytest.param(8000, 40, 4000, 8000, id="telephone"),
    ],
)
def test_the_front_end_covers_the_sounds_at_the_lowest_rate(
    sample_rate: int, low_hz: float, high_hz: float, expected_rate: int
) -> None:
    values = as_values(list(choose_frontend(survey(sample_rate, low_hz, high_hz))))["frontend"]
    frontend = Frontend.model_validate(values)
    assert frontend.sample_rate == expected_rate
    assert frontend.f_min <= max(low_hz, 60)
    assert frontend.f_max >= min(high_hz, 0.4875 * sample_rate)


@pytest.mark.parametrize("sample_rate", [8000, 16000, 44100, 96000, 256000])
@pytest.mark.parametrize(("low_share", "high_share"), [(0.01, 0.4), (0.05, 0.1), (0.2, 0.45), (0.3, 0.33)])
def test_every_mel_band_holds_a_bin(sample_rate: int, low_share: float, high_share: float) -> None:
    win_length, hop_length = (round(ms * sample_rate / 1000) for ms in frame_times_ms(sample_rate))
    f_min, f_max = low_share * sample_rate, high_share * sample_rate
    n_fft, n_mels = mel_sizes(f_min, f_max, sample_rate, win_length)
    layer = LogMel(
        sample_rate, n_fft=n_fft, win_length=win_length, hop_length=hop_length, n_mels=n_mels, f_min=f_min, f_max=f_max
    )
    assert (layer.filters.sum(1) > 0).all()


@pytest.mark.parametrize(
    ("durations_s", "window_s"), [([0.3, 0.5, 0.9], 1.0), ([4.0, 4.6, 5.01], 5.0), ([10.0, 60.0, 600.0], 5.0)]
)
def test_a_window_holds_a_clip_where_it_can(durations_s: list[float], window_s: float) -> None:
    assert choose_window(durations_s).value == window_s


def test_rare_classes_and_background_are_seen() -> None:
    chosen = {
        choice.key: choice for choice in choose_task("birds", "m.csv", "label", {"wren": 4, "crow": 90, "noise": 2})
    }
    assert chosen["background"].value == "noise"
    assert chosen["sampling"].value == "balanced"
    assert "crow has 22 times" in chosen["sampling"].reason


def test_thrift_halves_rows_then_frames_then_the_window() -> None:
    choices = [choose_window([5.0] * 10), *choose_frontend(survey(16000, 40, 8000))]
    tried = [(as_values(chosen), batch_size) for chosen, batch_size in thriftier(choices, 32, fixed_window=False)]
    seen = [(v["data"]["window_s"], v["frontend"]["hop_length"], batch_size) for v, batch_size in tried]
    assert seen == [(5.0, 160, 32), (5.0, 160, 16), (5.0, 320, 16), (2.5, 320, 16)]
    assert len(list(thriftier(choices, 32, fixed_window=True))) == 3


def test_steps_fill_the_time_but_never_repeat_the_data_for_ever() -> None:
    short = plan_steps(60, 0.5, batch_size=32, n_windows=10_000, n_valid_windows=320)
    long = plan_steps(600, 0.5, batch_size=32, n_windows=10_000, n_valid_windows=320)
    assert short.steps < long.steps
    assert short.seconds <= 61
    assert not long.is_enough
    few = plan_steps(36_000, 0.5, batch_size=32, n_windows=40, n_valid_windows=10)
    assert few.is_enough
    assert few.steps == ENOUGH


def test_a_recipe_is_read_as_it_was_chosen(tmp_path: Path) -> None:
    choices = [
        Choice("tasks.a", "manifest", "my birds: #1.csv", "Why. " * 40),
        Choice("tasks.a", "background", "none"),
        Choice("tasks.b", "manifest", "yes"),
        Choice("augmentation", "noise_snr_db", [5, 50]),
        Choice("training", "learning_rate", 3e-3),
    ]
    text = write_yaml(["Head", ""], choices)
    assert max(map(len, text.splitlines())) <= 100
    (tmp_path / "a.yaml").write_text(text)
    assert read_yaml(tmp_path / "a.yaml")[0] == as_values(choices)
