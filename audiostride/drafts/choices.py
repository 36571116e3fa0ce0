"""Settings that fit recordings, each with its reason."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log10

from audiostride.drafts.survey import Survey
from audiostride.evaluation.measures import IMBALANCE
from audiostride.vocabulary import LABELS_COLUMN

RATES_HZ = (8000, 16000, 24000, 32000, 48000, 96000, 192000, 256000, 384000)
LOWEST_F_MIN_HZ = 60.0
F_MAX_SHARE = 0.4875  # of the sample rate: 7800 Hz of 16 kHz, below what resampling takes away
MARGIN_BELOW, MARGIN_ABOVE = 1.5, 1.25  # factors around the spectrum in use: other recordings may go beyond
SHORT_S = 1.3  # clips up to here hold one sound each
SLACK_S = 0.05  # that a clip may last longer than its window
WHOLE_CLIP_S = 6.0  # clips up to here fit in one window
LONG_WINDOW_S = 5.0
BACKGROUNDS = {"background", "none", "noise", "silence", "nothing", "empty"}
N_MELS = (64, 48, 40, 32, 24, 16)


@dataclass(frozen=True)
class Choice:
    """A key of a section with its value, and why; choices of one section follow one another.

    Args:
        section: with dots, as in `tasks.birds`.
        reason: a sentence or two; empty where the value speaks for itself.
    """

    section: str
    key: str
    value: object
    reason: str = ""


def share_at_most(values: Sequence[float], share: float) -> float:
    """Give the value that a share of sorted values does not exceed.

    >>> share_at_most([1.0, 2.0, 3.0, 4.0], 0.5)
    2.0
    """
    return values[max(0, min(len(values) - 1, round(share * len(values)) - 1))]


def hertz(frequency_hz: float) -> str:
    """Write a frequency for people.

    >>> hertz(880), hertz(16000), hertz(4520.4)
    ('880 Hz', '16 kHz', '4.52 kHz')
    """
    return f"{frequency_hz:.0f} Hz" if frequency_hz < 1000 else f"{frequency_hz / 1000:.3g} kHz"


def choose_window(durations_s: Sequence[float]) -> Choice:
    """Choose the length of a window by that of the clips, in ascending order."""
    usual = share_at_most(durations_s, 0.9)
    lengths = f"Nine of ten clips last {usual:.3g} s or less"
    if usual <= SHORT_S:
        return Choice("data", "window_s", 1.0, f"{lengths}: a window of 1 s holds the sound of a clip.")
    if usual <= WHOLE_CLIP_S:
        whole = -(-(usual - SLACK_S) // 0.5) * 0.5
        return Choice("data", "window_s", whole, f"{lengths}: a window holds a whole clip, wherever its sound is.")
    reason = f"Clips last up to {usual:.3g} s: windows of {LONG_WINDOW_S:g} s are cut from them at random."
    return Choice("data", "window_s", LONG_WINDOW_S, reason)


def _nice(frequency_hz: float) -> float:
    """Round to two digits."""
    return float(f"{frequency_hz:.2g}")


def _rate(survey: Survey) -> tuple[int, str]:
    top, lowest = survey.spectrum.high_hz * MARGIN_ABOVE, survey.lowest_rate
    rate = min((rate for rate in RATES_HZ if rate * F_MAX_SHARE >= top and rate <= lowest), default=lowest)
    rates = "Most recordings have" if len(survey.rates) > 1 else "The recordings have"
    usual = survey.rates.most_common(1)[0][0]
    if not survey.spectrum.is_found:
        return rate, f"{rates} {usual} Hz, and no frequency stands out: all of them are kept."
    heard = f"Sounds were found from {hertz(survey.spectrum.low_hz)} to {hertz(survey.spectrum.high_hz)}"
    if rate < usual:
        return rate, f"{heard}: a rate of {hertz(rate)} keeps them, and the recordings' {hertz(usual)} cost more."
    return rate, f"{heard}, up to what recordings of {hertz(usual)} hold."


def frame_times_ms(sample_rate: int) -> tuple[int, int]:
    """Choose the length of a frame and the time from one to the next in ms; the calls of bats are short."""
    return (25, 10) if sample_rate <= 48000 else (16, 8) if sample_rate <= 96000 else (8, 4)


def _mel(frequency_hz: float) -> float:
    """Convert Hz to mel, by the formula of `htk`."""
    return 2595 * log10(1 + frequency_hz / 700)


def mel_sizes(f_min: float, f_max: float, sample_rate: int, win_length: int) -> tuple[int, int]:
    """Choose the size of the Fourier transform and the number of mel bands, so that every band has a bin.

    The lowest band is the narrowest: it spans two steps on the mel scale, and needs one bin within.
    """
    n_fft = 1 << (win_length - 1).bit_length()
    for n_mels in N_MELS:
        step = (_mel(f_max) - _mel(f_min)) / (n_mels + 1)
        width_hz = 700 * (10 ** ((_mel(f_min) + 2 * step) / 2595) - 1) - f_min
        for size in (n_fft, 2 * n_fft):
            if width_hz >= 1.2 * sample_rate / size:
                return size, n_mels
    return 2 * n_fft, N_MELS[-1]


def choose_frontend(survey: Survey, isolated: str = "") -> Iterator[Choice]:
    """Choose rate, frames, mel range and normalisation.

    Args:
        survey: of the recordings.
        isolated: what holds sounds that stand out, as in "Clips are short", if anything does.
    """
    rate, why_rate = _rate(survey)
    frame_ms, hop_ms = frame_times_ms(rate)
    win_length, hop_length = round(frame_ms * rate / 1000), round(hop_ms * rate / 1000)
    spectrum = survey.spectrum
    f_min = max(LOWEST_F_MIN_HZ, _nice(spectrum.low_hz / MARGIN_BELOW))
    f_max = min(F_MAX_SHARE * rate, _nice(spectrum.high_hz * MARGIN_ABOVE))
    n_fft, n_mels = mel_sizes(f_min, f_max, rate, win_length)
    yield Choice("frontend", "sample_rate", rate, why_rate)
    yield Choice("frontend", "win_length", win_length, f"Frames of {frame_ms} ms.")
    yield Choice("frontend", "hop_length", hop_length, f"One frame every {hop_ms} ms.")
    yield Choice("frontend", "n_fft", n_fft)
    yield Choice("frontend", "f_min", f_min, "The mel bands cover the sounds that were found, and a margin.")
    yield Choice("frontend", "f_max", f_max)
    few = "" if n_mels == N_MELS[0] else f"More than {n_mels} bands would be narrower than frames of this length tell."
    yield Choice("frontend", "n_mels", n_mels, few)
    if isolated:
        reason = (
            "Clips hold one sound each: levels count from the loudest, and what is 40 dB below it counts as silence."
        )
        yield Choice("frontend", "normalization", "peak", reason)
        yield Choice("frontend", "top_db", 40)
    else:
        reason = "Quiet sounds matter as much as loud ones: only the mean and the spread of each window are levelled."
        yield Choice("frontend", "normalization", "standard", reason)


def thriftier(choices: Sequence[Choice], batch_size: int, *, fixed_window: bool) -> Iterator[tuple[list[Choice], int]]:
    """Yield the choices with a batch size, then cheaper ones one after another, for a time that allows few steps.

    Args:
        choices: with their sections `data` and `frontend`.
        batch_size: to begin with.
        fixed_window: whether the window is given by the manifest.
    """
    chosen = list(choices)
    yield chosen, batch_size
    yield chosen, batch_size // 2
    values = {choice.key: choice.value for choice in chosen if choice.section in ("data", "frontend")}
    hop, win_length, rate = (int(str(values[key])) for key in ("hop_length", "win_length", "sample_rate"))
    if 2 * hop <= win_length:
        reason = f"One frame every {2000 * hop / rate:g} ms: half as many as usual, so that more steps fit the time."
        chosen = _replaced(chosen, Choice("frontend", "hop_length", 2 * hop, reason))
        yield chosen, batch_size // 2
    window_s = float(str(values["window_s"]))
    if window_s >= 2 and not fixed_window:
        reason = f"Half of {window_s:g} s, which would hold most clips whole, so that more steps fit the time."
        yield _replaced(chosen, Choice("data", "window_s", window_s / 2, reason)), batch_size // 2


def _replaced(choices: Sequence[Choice], new: Choice) -> list[Choice]:
    return [new if (choice.section, choice.key) == (new.section, new.key) else choice for choice in choices]


def choose_task(name: str, manifest: str, label: str, counts: Mapping[str, int]) -> Iterator[Choice]:
    """Choose the settings of a task.

    Args:
        name: of the task.
        manifest: path as the recipe gives it.
        label: column of the classes.
        counts: training clips of every class.
    """
    section = f"tasks.{name}"
    yield Choice(section, "manifest", manifest)
    if label == LABELS_COLUMN:
        yield Choice(section, "kind", "multilabel", "A window may hold several classes, or none.")
    else:
        yield Choice(section, "label", label)
    if background := next((name for name in sorted(counts) if name.lower() in BACKGROUNDS), None):
        reason = f"{background} means nothing: the model learns it, and never shows it as a detection."
        yield Choice(section, "background", background, reason)
    classes = {name: n for name, n in counts.items() if name != background}
    if not classes:
        return
    ratio = max(classes.values()) / min(classes.values())
    if ratio >= IMBALANCE:
        largest, smallest = max(classes, key=classes.__getitem__), min(classes, key=classes.__getitem__)
        reason = f"{largest} has {ratio:.0f} times the training clips of {smallest}: classes come equally often."
        yield Choice(section, "sampling", "balanced", reason)
