"""A comparison of runs as CSV: everything in one table, and each table of the text with its numbers unrounded."""

from collections.abc import Sequence

from audiostride.comparison.compare import Comparison
from audiostride.comparison.csv_names import CSV_TABLES
from audiostride.comparison.tables import COSTS, last_maps, spread_values
from audiostride.files import csv_text

Row = dict[str, object]
DIFFERENCES = ("first", "second", "task", "n_files", "difference", "interval_low", "interval_high", "within_spread")


def csv_tables(comparison: Comparison) -> dict[str, str]:
    """Write each table as CSV, by its name; where no groups are compared, that of differences is its header alone."""
    tables = (_runs, _accuracy, _cost, _strides, _differences)
    rows = {name: table(comparison) for name, table in zip(CSV_TABLES, tables, strict=True)}
    return {name: _text(of_table) if of_table else csv_text([DIFFERENCES]) for name, of_table in rows.items()}


def _text(rows: Sequence[Row]) -> str:
    return csv_text([list(rows[0]), *(list(row.values()) for row in rows)])


def _runs(comparison: Comparison) -> list[Row]:
    """Make a row per run."""
    return [
        {
            "runs": group.name,
            "path": run.path,
            "method": group.method,
            "seed": run.seed,
            "fold": run.fold,
            "step": run.step,
            "complexity_weight": group.recipe.training.complexity_weight,
            **{f"accuracy_{task}": run.accuracy.get(task) for task in comparison.tasks},
        }
        for group in comparison.groups
        for run in group.runs
    ]


def _accuracy(comparison: Comparison) -> list[Row]:
    return [
        {"runs": group.name, "split": comparison.split, "task": task, **spread_values(group.accuracy(task))}
        for group in comparison.groups
        for task in comparison.tasks
    ]


def _cost(comparison: Comparison) -> list[Row]:
    rows: list[Row] = []
    for group in comparison.groups:
        spreads = {name: group.over_runs(value) for name, value in COSTS.items()}
        means = {name: None if spread is None else spread.mean for name, spread in spreads.items()}
        rows.append({"runs": group.name, "last_maps": " ".join(last_maps(group)), **means})
    return rows


def _strides(comparison: Comparison) -> list[Row]:
    rows: list[Row] = []
    blocks = [f"block_{i + 1}" for i in range(comparison.n_blocks)]
    for group in comparison.groups:
        for axis, final in group.mean_strides().items():
            initial = group.initial_strides[axis]
            begun = [initial] * len(final) if isinstance(initial, str) else list(initial)
            for when, strides in (("initial", begun), ("final", final)):
                of_blocks = dict.fromkeys(blocks) | dict(zip(blocks, strides, strict=False))
                rows.append({"runs": group.name, "axis": axis, "strides": when, **of_blocks})
    return rows


def _differences(comparison: Comparison) -> list[Row]:
    rows: list[Row] = []
    for pair in comparison.pairs:
        found = pair.difference
        values = (pair.first, pair.second, pair.task, pair.n_clips, found.mean, found.low, found.high)
        rows.append(dict(zip(DIFFERENCES, (*values, found.within_spread), strict=True)))
    return rows


def csv_table(comparison: Comparison) -> str:
    """Write a line per group and task; differences are those from the first group."""
    first = comparison.groups[0].name
    to_first = {(pair.task, pair.second): pair.difference for pair in comparison.pairs if pair.first == first}
    lines: list[dict[str, object]] = []
    for group in comparison.groups:
        for task in comparison.tasks:
            difference = to_first.get((task, group.name))
            accuracy = spread_values(group.accuracy(task))
            line: dict[str, object] = {
                "runs": group.name,
                "paths": " ".join(str(run.path) for run in group.runs),
                "seeds": " ".join(str(run.seed) for run in group.runs),
                "folds": " ".join(run.fold for run in group.runs if run.fold is not None),
                "method": group.method,
                "complexity_weight": group.recipe.training.complexity_weight,
                "split": comparison.split,
                "task": task,
                **{f"accuracy_{name}": value for name, value in accuracy.items()},
                "first_minus_this": None if difference is None else difference.mean,
                "interval_low": None if difference is None else difference.low,
                "interval_high": None if difference is None else difference.high,
                "within_spread": None if difference is None else difference.within_spread,
                "last_maps": " ".join(last_maps(group)),
            }
            for name, value in COSTS.items():
                spread = group.over_runs(value)
                line[name] = None if spread is None else spread.mean
            for axis, initial in group.initial_strides.items():
                line[f"initial_stride_{axis}"] = initial if isinstance(initial, str) else _joined(initial)
                line[f"final_stride_{axis}"] = _joined(group.mean_strides().get(axis, ()))
            lines.append(line)
    return csv_text([list(lines[0]), *(list(line.values()) for line in lines)])


def _joined(strides: Sequence[float]) -> str:
    return " ".join(f"{stride:.6g}" for stride in strides)
