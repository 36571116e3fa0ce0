"""The tables and bars of `audiostride strides`."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from audiostride.cli.console import print_line, show, table

if TYPE_CHECKING:
    from audiostride.strides.advice import Advice
    from audiostride.strides.reading import RunStrides
    from audiostride.strides.response import ChainResponse
    from audiostride.vocabulary import AxisName

# with the table of six blocks they fit a terminal of 24 lines
RUN_NOTES = """\
cut-off, ramp's end: modulations, Hz along time, cycles/band along frequency.
eff.: the stride that n_in allows. bins: width of the ramp. beyond: past all
modulations. folds: how much above half the new rate passes. -3 dB: gratings of
whole periods in a window lose half their power between these two. nominal: the
lowest cut-off of a block. folded: the share of the output that has folded."""

GROUPS_NOTES = """\
nominal: the lowest cut-off of a block, in Hz along time, in cycles/band along
frequency. -3 dB: between these gratings half the power is lost. Gratings have
whole periods in a window. folded: the share of the output that has folded."""

N_COLUMNS = 5  # of groups side by side in 80 columns
NOWHERE = "nowhere"
SPARKS = "▁▂▃▄▅▆▇█"

Groups = Mapping[str, "Sequence[RunStrides]"]


def show_run(run: "RunStrides") -> None:
    """Give every layer of one run, then a line per axis of what survives all of them."""
    from audiostride.strides.reading import AXES

    columns = ("stride", "eff.", "n_in", "n_out", "cut-off", "ramp's end", "bins", "folds")
    rows = table("block", "axis", *columns, left=2)
    for r in run.learned.readings:
        rows.add_row(
            str(r.block),
            r.axis,
            f"{r.stride:.3f}",
            f"{r.effective_stride:.3f}",
            str(r.n_in),
            str(r.n_out),
            f"{r.cutoff:.3f}",
            "-" if r.ramp_end is None else "beyond" if r.passes_all else f"{r.ramp_end:.3f}",
            "-" if r.smoothness is None else _bins(r.smoothness),
            "-" if r.folds is None else f"{r.folds:.0%}",
        )
    show(f"strides of {run.run}", rows)
    print_line("all layers together", style="bold")
    for axis in AXES:
        print_line(_survives(run, axis))


def _bins(width: float) -> str:
    """Write the width of a ramp in five columns at most.

    >>> _bins(16.0), _bins(1e6)
    ('16.0', '1e+06')
    """
    return f"{width:.1f}" if width < 999.5 else f"{width:.0e}"


def _survives(run: "RunStrides", axis: "AxisName") -> str:
    """Say where gratings through all layers lose half their power, and how much of what comes out has folded."""
    response = run.learned.responses[axis]
    edges = _half_power([response])
    half = edges if edges == NOWHERE else f"between {edges} {response.unit}"
    return f"{axis}: -3 dB {half}, nominal {response.nominal_cutoff:.3f}, {response.aliased_share:.0%} folded"


def _half_power(responses: "Sequence[ChainResponse]") -> str:
    """Name the two gratings between which all responses lose half their power, as in "3 and 4"."""
    edges = [edges for response in responses if (edges := response.half_power_gratings) is not None]
    if not edges:
        return NOWHERE
    low, high = (round(edge, 3) for edge in (min(low for low, _ in edges), max(high for _, high in edges)))
    return f"{low:g} and {high:g}" + (f", or {NOWHERE}" if len(edges) < len(responses) else "")


def show_survivors(groups: Groups) -> None:
    """Say where gratings through all layers lose half their power, the lowest nominal cut-off, and what folded."""
    from audiostride.evaluation.spread import Spread
    from audiostride.strides.reading import AXES

    rows = table("", "axis", "-3 dB between", "nominal", "unit", "folded", left=2)
    for name, runs in groups.items():
        for axis in AXES:
            responses = [run.learned.responses[axis] for run in runs]
            nominal = Spread(tuple(response.nominal_cutoff for response in responses))
            folded = Spread(tuple(response.aliased_share for response in responses))
            rows.add_row(
                name,
                axis,
                _half_power(responses),
                _with_spread(nominal.mean, nominal.deviation or 0.0, len(responses)),
                responses[0].unit,
                f"{folded.mean:.0%}",
            )
    show("what all layers together let pass", rows)


def _with_spread(mean: float, spread: float, n: int, digits: int = 3) -> str:
    return f"{mean:.{digits}f}" if n == 1 else f"{mean:.{digits}f}±{spread:.{digits}f}"


def show_groups(groups: Groups) -> None:
    """Give runs side by side, mean and standard deviation over the seeds of a recipe."""
    from audiostride.strides.reading import group_summary

    summaries = {
        name: {(layer["block"], layer["axis"]): layer for layer in group_summary(runs)} for name, runs in groups.items()
    }
    in_order = list(summaries)
    for names in (in_order[i : i + N_COLUMNS] for i in range(0, len(in_order), N_COLUMNS)):
        for what, digits in (("stride", 2), ("cutoff", 3)):
            rows = table("block", "axis", *(_short(name) for name in names), left=2)
            layers = sorted(
                {key for name in names for key in summaries[name]}, key=lambda key: (key[0], key[1] != "time")
            )
            for block, axis in layers:
                cells = []
                for name in names:
                    layer = summaries[name].get((block, axis))
                    cells.append("-" if layer is None else _cell(layer[what], layer["n"], digits))
                rows.add_row(str(block), axis, *cells)
            seeds = ", ".join(f"{name}: {len(groups[name])}" for name in names)
            show(f"{'strides' if what == 'stride' else 'cut-offs'} (runs: {seeds})", rows)
    show_survivors(groups)


def _cell(values: "Mapping[str, float]", n: int, digits: int) -> str:
    return _with_spread(values["mean"], values["sd"], n, digits)


def _short(name: str, n: int = 12) -> str:
    return name if len(name) <= n else "…" + name[1 - n :]


def show_history(groups: Groups) -> None:
    """Give the strides of every block and axis at the first and last logged step, their range, and a sparkline."""
    from audiostride.strides.reading import AXES

    for name, runs in groups.items():
        for run in runs:
            history = run.history
            if len(history.steps) == 0:
                print_line(f"\n{name}: no strides were logged in {run.run}")
                continue
            ends = (f"step {step}" for step in history.steps[[0, -1]])
            rows = table("block", "axis", *ends, "lowest", "highest", "lowest to highest", left=2)
            rows.columns[-1].justify = "left"
            for block, of_block in enumerate(zip(*(history.strides[axis].T for axis in AXES), strict=True), 1):
                for axis, values in zip(AXES, of_block, strict=True):
                    numbers = (f"{value:.3f}" for value in (values[0], values[-1], values.min(), values.max()))
                    rows.add_row(str(block), axis, *numbers, sparkline(values.tolist()))
            show(f"strides of {run.run}, steps {history.steps[0]} to {history.steps[-1]}", rows)


def sparkline(values: Sequence[float], n_cells: int = 18) -> str:
    """Give values as a line of blocks, from their lowest to their highest.

    >>> sparkline([1.0, 2.0, 3.0, 1.0])
    '▁▅█▁'
    """
    n_cells = min(n_cells, len(values))
    picked = [values[i * (len(values) - 1) // max(1, n_cells - 1)] for i in range(n_cells)]
    low, high = min(values), max(values)
    if high - low < 1e-9:
        return SPARKS[0] * n_cells
    return "".join(SPARKS[round((value - low) / (high - low) * (len(SPARKS) - 1))] for value in picked)


def _time_advice(advice: "Advice", run: "RunStrides") -> str:
    """Say which hop keeps what the first block passes."""
    frontend = run.checkpoint.recipe.frontend
    if advice.kept_hz is None:
        return (
            "Along time the first block does not filter: what is faster than its cut-off\n"
            "folds. So its strides say nothing about the hop."
        )
    passes = f"The first block passes temporal modulations up to {advice.kept_hz:.1f} Hz:\n"
    if advice.hop_length == frontend.hop_length:
        return f"{passes}nothing to save, the hop stays at {frontend.hop_length} samples."
    hop = f"{advice.hop_length} samples ({advice.hop_length / frontend.sample_rate * 1e3:.1f} ms)"
    return f"{passes}a hop of {hop} instead of {frontend.hop_length} keeps them all."


def _frequency_advice(advice: "Advice", run: "RunStrides") -> str:
    """Say how many mel bands keep what the first block passes."""
    n_mels = run.checkpoint.recipe.frontend.n_mels
    if advice.kept_cycles_per_band is None:
        return (
            "Along frequency the first block does not filter: what is faster than its\n"
            "cut-off folds. So its strides say nothing about the mel bands."
        )
    per_octave = advice.kept_cycles_per_band * run.bands_per_octave
    passes = (
        f"Along frequency it passes {advice.kept_cycles_per_band:.3f} cycles per band ({per_octave:.2f} per octave):\n"
    )
    if advice.n_mels == n_mels:
        return f"{passes}nothing to save, the {n_mels} mel bands stay."
    return f"{passes}{advice.n_mels} mel bands instead of {n_mels} keep them."


def show_advice(advice: "Advice", run: "RunStrides") -> None:
    """Give what the run keeps, in words, and what each change would save."""
    print_line("\nadvice for the next design", style="bold")
    print_line(_time_advice(advice, run))
    print_line(_frequency_advice(advice, run))
    if not advice.suggestions:
        return
    rows = table("change", "MMACs per window", "saved")
    rows.add_row("as it is", f"{advice.n_macs / 1e6:.1f}", "")
    for suggestion in advice.suggestions:
        saved = 1 - suggestion.n_macs / advice.n_macs
        rows.add_row(suggestion.what, f"{suggestion.n_macs / 1e6:.1f}", f"{saved:.1%}")
    show("multiply-adds of the network, the front end left out", rows)
    if advice.integers is None:
        return
    for axis in ("time", "frequency"):
        integers = " ".join(f"{s:g}" for s in getattr(advice.integers.recipe.model, f"stride_{axis}"))
        print_line(f"nearest integer strides, {axis}: {integers}")
