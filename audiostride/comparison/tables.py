"""A comparison of runs as tables of text, Markdown, CSV and plain data."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from audiostride.comparison.compare import Comparison, GroupResult, RunResult
from audiostride.evaluation.spread import Spread
from audiostride.files import csv_text
from audiostride.vocabulary import N_BLOCKS

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
    columns = ("runs", "method", "seeds", "steps", "complexity")
    rows = [
        (
            group.name,
            group.method,
            " ".join(str(run.seed) for run in group.runs),
            " ".join(str(run.step) for run in group.runs),
            f"{group.recipe.training.complexity_weight:g}",
        )
        for group in comparison.groups
    ]
    return TextTable("runs", columns, tuple(rows), n_left=4)


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


def _last_maps(group: GroupResult) -> list[str]:
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
        rows.append((group.name, cells[0], "\n".join(_last_maps(group)), *cells[1:]))
    return TextTable("cost: means over seeds", columns, tuple(rows))


def _strides(comparison: Comparison) -> TextTable:
    blocks = tuple(str(i + 1) for i in range(N_BLOCKS))
    rows = []
    for group in comparison.groups:
        for axis, final in group.mean_strides().items():
            initial, name = group.initial_strides[axis], f"{group.name}"
            if isinstance(initial, str):
                rows.append((name, axis, initial, *([NONE] * N_BLOCKS)))
            elif group.learned:
                rows.append((name, axis, "initial", *(f"{stride:.2f}" for stride in initial)))
            rows.append((name, axis, "learned" if group.learned else "fixed", *(f"{stride:.2f}" for stride in final)))
    return TextTable("strides of the blocks: means over seeds", ("runs", "axis", "", *blocks), tuple(rows), n_left=3)


def _differences(comparison: Comparison) -> TextTable:
    rows = [
        (
            f"{pair.first} - {pair.second}",
            pair.task,
            "within the spread" if pair.difference.within_spread else "",
            str(pair.n_clips),
            f"{pair.difference.mean:+.3f}",
            f"{pair.difference.low:+.3f} to {pair.difference.high:+.3f}",
        )
        for pair in comparison.pairs
    ]
    columns = ("runs", "task", "", "files", "accuracy", "95 % interval")
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


def _spread_values(spread: Spread | None) -> dict[str, float | int | None]:
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
            "accuracy": {task: _spread_values(group.accuracy(task)) for task in group.tasks},
            "initial_strides": group.initial_strides,
            "final_strides": group.mean_strides(),
            "last_maps": _last_maps(group),
            **{name: _spread_values(group.over_runs(value)) for name, value in COSTS.items()},
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


def csv_table(comparison: Comparison) -> str:
    """Write a line per group and task; differences are those from the first group."""
    first = comparison.groups[0].name
    to_first = {(pair.task, pair.second): pair.difference for pair in comparison.pairs if pair.first == first}
    lines: list[dict[str, object]] = []
    for group in comparison.groups:
        for task in comparison.tasks:
            difference = to_first.get((task, group.name))
            accuracy = _spread_values(group.accuracy(task))
            line: dict[str, object] = {
                "runs": group.name,
                "paths": " ".join(str(run.path) for run in group.runs),
                "seeds": " ".join(str(run.seed) for run in group.runs),
                "method": group.method,
                "complexity_weight": group.recipe.training.complexity_weight,
                "split": comparison.split,
                "task": task,
                **{f"accuracy_{name}": value for name, value in accuracy.items()},
                "first_minus_this": None if difference is None else difference.mean,
                "interval_low": None if difference is None else difference.low,
                "interval_high": None if difference is None else difference.high,
                "within_spread": None if difference is None else difference.within_spread,
                "last_maps": " ".join(_last_maps(group)),
            }
            for name, value in COSTS.items():
                spread = group.over_runs(value)
                line[name] = None if spread is None else spread.mean
            for axis, strides in group.mean_strides().items():
                initial = group.initial_strides[axis]
                line[f"initial_stride_{axis}"] = initial if isinstance(initial, str) else _joined(initial)
                line[f"final_stride_{axis}"] = _joined(strides)
            lines.append(line)
    return csv_text([list(lines[0]), *(list(line.values()) for line in lines)])


def _joined(strides: Sequence[float]) -> str:
    return " ".join(f"{stride:.6g}" for stride in strides)
