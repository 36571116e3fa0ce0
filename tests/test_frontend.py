"""The front end against librosa and against what is known of silence, gain and tones."""

import math
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from audiostride.frontend import LogMel
from audiostride.vocabulary import MelScale

SAMPLE_RATE = 16000


def noise(n_samples: int, amplitude: float = 0.1) -> Tensor:
    return amplitude * torch.randn(1, n_samples, generator=torch.Generator().manual_seed(0))


def tone(frequency_hz: float) -> Tensor:
    return 0.5 * torch.sin(2 * math.pi * frequency_hz * torch.arange(SAMPLE_RATE) / SAMPLE_RATE)[None]


def librosa_log_mel(waveform: Tensor, mel_scale: str, **changed: Any) -> NDArray[np.float32]:
    settings = {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 64, "fmin": 60.0, "fmax": 7800.0}
    mel = librosa.feature.melspectrogram(
        y=waveform[0].numpy(),
        sr=SAMPLE_RATE,
        window="hann",
        center=True,
        pad_mode="constant",
        power=2.0,
        htk=mel_scale == "htk",
        norm=None,
        **{**settings, **changed},
    )
    log_mel: NDArray[np.float32] = np.log(mel[:, : waveform.shape[1] // {**settings, **changed}["hop_length"]] + 1e-5)
    return log_mel


@pytest.mark.parametrize("mel_scale", ["htk", "slaney"])
@pytest.mark.parametrize(
    "waveform", [noise(16000), noise(12345, 1.0), tone(1000.0) + noise(16000, 0.01)], ids=["noise", "odd", "tone"]
)
def test_log_mel_equals_librosa(waveform: Tensor, mel_scale: MelScale) -> None:
    log_mel = LogMel(mel_scale=mel_scale)(waveform)[0, 0]
    np.testing.assert_allclose(log_mel.numpy(), librosa_log_mel(waveform, mel_scale), rtol=0, atol=1e-4)


def test_other_settings_equal_librosa() -> None:
    log_mel = LogMel(n_fft=1024, win_length=1024, hop_length=200, n_mels=40, f_min=0.0, f_max=8000.0)(noise(8000))
    changed = {"n_fft": 1024, "win_length": 1024, "hop_length": 200, "n_mels": 40, "fmin": 0.0, "fmax": 8000.0}
    expected = librosa_log_mel(noise(8000), "htk", **changed)
    np.testing.assert_allclose(log_mel[0, 0].numpy(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("n_samples", [160, 161, 319, 320, 400, 15999, 16000, 16001, 44100])
def test_one_frame_per_hop(n_samples: int) -> None:
    assert LogMel()(torch.zeros(2, n_samples)).shape == (2, 1, 64, n_samples // 160)


@pytest.mark.parametrize("offset", [1e-5, 1e-2])
def test_silence_gives_the_logarithm_of_the_offset(offset: float) -> None:
    log_mel = LogMel(offset=offset)(torch.zeros(1, SAMPLE_RATE))
    torch.testing.assert_close(log_mel, torch.full_like(log_mel, math.log(offset)))


@pytest.mark.parametrize("offset", [1e-5, 1e-2])
def test_floor_is_the_output_for_silence(offset: float) -> None:
    assert LogMel(offset=offset).floor == pytest.approx(math.log(offset))


def test_doubled_gain_adds_twice_the_logarithm_of_two() -> None:
    frontend, waveform = LogMel(), noise(SAMPLE_RATE, amplitude=1.0)
    difference = frontend(2 * waveform) - frontend(waveform)
    far_above = frontend(waveform) > math.log(1e-5) + math.log(1e5)
    assert far_above.float().mean() > 0.9
    torch.testing.assert_close(
        difference[far_above], torch.full_like(difference[far_above], 2 * math.log(2)), rtol=0, atol=1e-4
    )


@pytest.mark.parametrize("frequency_hz", [200.0, 440.0, 1000.0, 3000.0, 7000.0])
def test_a_tone_peaks_in_the_band_nearest_to_it(frequency_hz: float) -> None:
    mel_edges = np.linspace(*(2595 * np.log10(1 + np.array([60.0, 7800.0]) / 700)), 66)
    tone_mel = 2595 * math.log10(1 + frequency_hz / 700)
    nearest = int(np.abs(mel_edges[1:-1] - tone_mel).argmin())
    loudest = LogMel()(tone(frequency_hz))[0, 0, :, 50].argmax()
    assert abs(int(loudest) - nearest) <= 1


def test_a_click_appears_in_the_frames_around_it() -> None:
    waveform = torch.zeros(1, SAMPLE_RATE)
    waveform[0, 8000] = 1.0
    loudness = LogMel()(waveform)[0, 0].amax(0)
    assert loudness.argmax() == 50
    assert (loudness > math.log(1e-5) + 1e-3).nonzero().flatten().tolist() == [49, 50, 51]


def test_waveforms_of_a_batch_are_independent() -> None:
    frontend, waveforms = LogMel(), torch.cat([noise(8000), noise(8000, 0.5), torch.zeros(1, 8000)])
    torch.testing.assert_close(frontend(waveforms)[1:2], frontend(waveforms[1:2]))


def test_gradient_reaches_the_waveform() -> None:
    waveform = noise(1600).requires_grad_()
    LogMel()(waveform).sum().backward()
    assert waveform.grad is not None
    assert waveform.grad.isfinite().all()
    assert waveform.grad.abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_output_is_single_precision_for_any_input(dtype: torch.dtype) -> None:
    log_mel = LogMel()(noise(1600).to(dtype))
    assert log_mel.dtype == torch.float32
    torch.testing.assert_close(log_mel, LogMel()(noise(1600)), rtol=0, atol=0.05)


def test_autocast_does_not_lower_the_precision() -> None:
    frontend, waveform = LogMel(), noise(1600)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        log_mel = frontend(waveform)
    torch.testing.assert_close(log_mel, frontend(waveform), rtol=0, atol=0)


def test_computed_on_the_device_of_its_input() -> None:
    frontend = LogMel()
    with FakeTensorMode(allow_non_fake_inputs=True):  # needs no such device
        assert frontend(torch.zeros(1, 1600, device="cuda")).device.type == "cuda"


def test_checkpoints_hold_no_filters() -> None:
    assert not LogMel().state_dict()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"win_length": 0}, "win_length.*0"),
        ({"win_length": 513}, "win_length.*513"),
        ({"hop_length": 0}, "hop_length.*0"),
        ({"hop_length": 401}, "hop_length.*401"),
        ({"f_min": -1.0}, "f_min.*-1"),
        ({"f_min": 7800.0}, "f_min.*7800"),
        ({"f_max": 8001.0}, "f_max.*8001"),
        ({"f_max": math.nan}, "f_max.*nan"),
        ({"sample_rate": 0}, "sample_rate.*0"),
        ({"n_mels": 0}, "n_mels.*0"),
        ({"n_mels": 257}, "n_mels.*257"),
        ({"mel_scale": "x"}, "mel_scale"),
        ({"offset": 0.0}, "offset.*0"),
        ({"offset": -1.0}, "offset.*-1"),
        ({"offset": math.nan}, "offset.*nan"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LogMel(**settings)


@pytest.mark.parametrize("shape", [(1, 0), (1, 159), (16000,), (1, 1, 16000)])
def test_waveforms_of_the_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"waveform.*hop_length=160"):
        LogMel()(torch.zeros(shape))


def test_above_the_floor_quiet_noise_is_not_rounded_away() -> None:
    frontend, waveform = LogMel(), 1e-8 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    above = frontend.above_floor(waveform)
    louder = frontend.above_floor(10 * waveform)  # both far below the offset, where the logarithm is linear in power
    torch.testing.assert_close(louder, 100 * above, rtol=1e-4, atol=0)
    torch.testing.assert_close(frontend(waveform), above + frontend.floor)
