"""A comparison of runs as tables of text, Markdown, and plain data."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from audiostride.comparison.compare import Comparison, GroupResult, RunResult
from audiostride.evaluation.spread import Spread

N_TASKS_ABREAST = 3  # more do not fit in 80 columns
NONE = "-"
COSTS: dict[str, Callable[[RunResult], float | None]] = {
    "macs_per_window": lambda run: run.cost.macs,
    "n_parameters": lambda run: run.cost.n_parameters,
    "windows_per_s": lambda run: run.cost.windows_per_s,
    "step_s": lambda run: run.cost.step_s,
    "peak_bytes": lambda run: run.cost.peak_bytes,
}


@dataclass(frozen=True)
class TextTable:
    """Rows of text under a title; the first `n_left` columns hold words, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_left: int = 1


def text_tables(comparison: Comparison) -> list[TextTable]:
    """Give what a comparison says, in tables of up to 80 columns as far as names are short."""
    tables = [_overview(comparison), *_accuracy(comparison), _cost(comparison), _strides(comparison)]
    return [*tables, _differences(comparison)] if comparison.pairs else tables


def _overview(comparison: Comparison) -> TextTable:
    folded = any(run.fold is not None for group in comparison.groups for run in group.runs)
    columns = ("runs", "method", "folds or seeds" if folded else "seeds", "steps", "complexity")
    rows = [
        (
            group.name,
            group.method,
            _members(group),
            " ".join(dict.fromkeys(str(run.step) for run in group.runs)),
            f"{group.recipe.training.complexity_weight:g}",
        )
        for group in comparison.groups
    ]
    return TextTable("runs", columns, tuple(rows), n_left=4)


def _members(group: GroupResult) -> str:
    """Name the runs of a group by what they differ in: folds, seeds, or both."""
    folds, seeds = (list(dict.fromkeys(values)) for values in zip(*((r.fold, r.seed) for r in group.runs), strict=True))
    if folds == [None]:
        return " ".join(str(run.seed) for run in group.runs)
    names = " ".join("-" if fold is None else fold for fold in folds)
    return f"fold {names}" + (f"\nseed {' '.join(map(str, seeds))}" if len(seeds) > 1 else "")


def _accuracy_text(spread: Spread | None) -> str:
    if spread is None:
        return NONE
    if spread.deviation is None:
        return f"{spread.mean:.4f}"
    return f"{spread.mean:.4f} ±{spread.deviation:.4f}\n{spread.low:.4f}-{spread.high:.4f}"


def _accuracy(comparison: Comparison) -> Iterator[TextTable]:
    title = f"accuracy on the split {comparison.split}: mean and deviation, lowest-highest"
    for i in range(0, len(comparison.tasks), N_TASKS_ABREAST):
        tasks = comparison.tasks[i : i + N_TASKS_ABREAST]
        rows = [
            (group.name, str(len(group.runs)), *(_accuracy_text(group.accuracy(task)) for task in tasks))
            for group in comparison.groups
        ]
        yield TextTable(title, ("runs", "n", *tasks), tuple(rows))


def last_maps(group: GroupResult) -> list[str]:
    """List the sizes of the last map, bands by frames, of the runs of a group."""
    return [f"{bands}x{frames}" for bands, frames in sorted({run.cost.last_map for run in group.runs})]


def _cost(comparison: Comparison) -> TextTable:
    columns = ("runs", "MACs (M)", "last map", "params", "windows/s", "s/step", "peak MiB")
    forms = {
        "macs_per_window": (1e6, ",.1f"),
        "n_parameters": (1, ",.0f"),
        "windows_per_s": (1, ",.0f"),
        "step_s": (1, ".3f"),
        "peak_bytes": (2**20, ",.0f"),
    }
    rows = []
    for group in comparison.groups:
        spreads = {name: group.over_runs(value) for name, value in COSTS.items()}
        cells = [
            NONE if (spread := spreads[name]) is None else f"{spread.mean / unit:{form}}"
            for name, (unit, form) in forms.items()
        ]
        rows.append((group.name, cells[0], "\n".join(last_maps(group)), *cells[1:]))
    return TextTable("cost: means over runs", columns, tuple(rows))


def _strides(comparison: Comparison) -> TextTable:
    blocks = tuple(str(i + 1) for i in range(comparison.n_blocks))

    def row(name: str, axis: str, what: str, strides: Sequence[float]) -> tuple[str, ...]:
        cells = [f"{stride:.2f}" for stride in strides]
        return (name, axis, what, *cells, *([NONE] * (len(blocks) - len(cells))))

    rows = []
    for group in comparison.groups:
        for axis, final in group.mean_strides().items():
            initial = group.initial_strides[axis]
            if isinstance(initial, str):
                rows.append(row(group.name, axis, initial, ()))
            elif group.learned:
                rows.append(row(group.name, axis, "initial", initial))
            rows.append(row(group.name, axis, "learned" if group.learned else "fixed", final))
    return TextTable("strides of the blocks: means over runs", ("runs", "axis", "", *blocks), tuple(rows), n_left=3)


def _differences(comparison: Comparison) -> TextTable:
    rows = [
        (
            f"{pair.first} minus {pair.second}",
            pair.task,
            "within the spread" if pair.difference.within_spread else "beyond it",
            str(pair.n_clips),
            f"{pair.difference.mean:+.3f}",
            f"{pair.difference.low:+.3f} to {pair.difference.high:+.3f}",
        )
        for pair in comparison.pairs
    ]
    columns = ("runs", "task", "verdict", "files", "accuracy", "95 % interval")
    return TextTable("differences on the same test files", columns, tuple(rows), n_left=3)


def markdown(comparison: Comparison) -> str:
    """Give the tables in Markdown."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", "<br>") for cell in cells) + " |"

    parts = []
    for table in text_tables(comparison):
        kinds = ["---"] * table.n_left + ["--:"] * (len(table.columns) - table.n_left)
        parts.append("\n".join([f"## {table.title}", "", line(table.columns), line(kinds), *map(line, table.rows)]))
    notes = [f"- {warning}" for warning in comparison.warnings]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])]) + "\n"


def spread_values(spread: Spread | None) -> dict[str, float | int | None]:
    """Give what a spread says by name, None for all of it where there is none."""
    if spread is None:
        return dict.fromkeys(("n", "mean", "deviation", "lowest", "highest"))
    return {
        "n": len(spread.values),
        "mean": spread.mean,
        "deviation": spread.deviation,
        "lowest": spread.low,
        "highest": spread.high,
    }


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Give everything, as JSON takes it."""
    groups = [
        {
            "name": group.name,
            "method": group.method,
            "learned": group.learned,
            "complexity_weight": group.recipe.training.complexity_weight,
            "accuracy": {task: spread_values(group.accuracy(task)) for task in group.tasks},
            "initial_strides": group.initial_strides,
            "final_strides": group.mean_strides(),
            "last_maps": last_maps(group),
            **{name: spread_values(group.over_runs(value)) for name, value in COSTS.items()},
            "runs": [asdict(run) | {"path": str(run.path)} for run in group.runs],
        }
        for group in comparison.groups
    ]
    differences = [
        {
            "task": pair.task,
            "first": pair.first,
            "second": pair.second,
            "n_files": pair.n_clips,
            **asdict(pair.difference),
            "within_spread": pair.difference.within_spread,
        }
        for pair in comparison.pairs
    ]
    return {
        "split": comparison.split,
        "groups": groups,
        "differences": differences,
        "warnings": list(comparison.warnings),
    }
