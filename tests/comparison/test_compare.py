"""Runs side by side: what is averaged, what is compared, and what is not."""

import csv
import json
import os
import re
import shutil
import statistics
from pathlib import Path

import pytest

from audiostride.comparison.compare import Comparison, compare_runs
from audiostride.comparison.csv_tables import csv_table, csv_tables
from audiostride.comparison.latex import latex
from audiostride.comparison.tables import as_dict, markdown, text_tables
from audiostride.errors import UserError
from audiostride.evaluation.bootstrap import paired_bootstrap
from audiostride.evaluation.spread import Spread
from audiostride.runs.checkpoint import load_run
from audiostride.runs.scoring import score_run

NAMES = ("learned-0", "strided", "learned-1", "both")


@pytest.fixture(scope="module")
def comparison(trained_runs: Path) -> Comparison:
    return compare_runs([trained_runs / name for name in NAMES])


def test_seeds_of_a_recipe_are_one_group(comparison: Comparison) -> None:
    assert [(group.name, len(group.runs)) for group in comparison.groups] == [
        ("learned", 2),
        ("strided", 1),
        ("both", 1),
    ]
    assert [run.seed for run in comparison.groups[0].runs] == [0, 1]


def test_accuracy_is_that_of_eval(comparison: Comparison, trained_runs: Path) -> None:
    of_seeds = [score_run(load_run(trained_runs / name)).scores["tone"].accuracy for name in ("learned-0", "learned-1")]
    spread = comparison.groups[0].accuracy("tone")
    assert spread == Spread(tuple(of_seeds))
    assert spread.mean == pytest.approx(sum(of_seeds) / 2)


def test_spread_of_three_seeds() -> None:
    spread = Spread((0.5, 0.7, 0.9))
    assert (spread.mean, spread.deviation, spread.low, spread.high) == pytest.approx((0.7, 0.2, 0.5, 0.9))
    assert Spread((0.5,)).deviation is None


def test_final_strides_are_averaged_over_seeds(comparison: Comparison, trained_runs: Path) -> None:
    of_seeds = [
        load_run(trained_runs / name).model.backbone.strides_by_axis()["time"] for name in ("learned-0", "learned-1")
    ]
    expected = [statistics.fmean(pair) for pair in zip(*of_seeds, strict=True)]
    assert comparison.groups[0].mean_strides()["time"] == pytest.approx(expected)


def test_a_run_that_learns_no_strides_is_fixed(comparison: Comparison) -> None:
    learned, strided, _ = comparison.groups
    assert (learned.method, strided.method) == ("diffstride inside", "strided_conv (fixed)")
    assert strided.mean_strides() == {"time": [2, 2, 1, 2, 1, 2], "frequency": [2, 2, 1, 2, 1, 2]}
    assert learned.initial_strides == {"time": "random 1 to 3", "frequency": (2, 2, 1, 2, 1, 2)}


def test_a_task_that_a_group_lacks_is_left_out(comparison: Comparison) -> None:
    assert comparison.tasks == ("tone", "is_low")
    assert comparison.groups[0].accuracy("is_low") is None
    assert {pair.task for pair in comparison.pairs} == {"tone"}


def test_every_pair_of_groups_is_compared_clip_by_clip(comparison: Comparison, trained_runs: Path) -> None:
    pairs = [(pair.first, pair.second) for pair in comparison.pairs]
    assert pairs == [("learned", "strided"), ("learned", "both"), ("strided", "both")]
    right = {
        name: [p.predicted == p.label for p in score_run(load_run(trained_runs / name), tasks=["tone"]).predictions]
        for name in NAMES
    }
    of_seeds = [statistics.fmean(seeds) for seeds in zip(right["learned-0"], right["learned-1"], strict=True)]
    assert comparison.pairs[0].difference.mean == pytest.approx(paired_bootstrap(of_seeds, right["strided"]).mean)
    assert comparison.pairs[0].n_clips == 6


def test_another_front_end_is_told(comparison: Comparison) -> None:
    others = [warning for warning in comparison.warnings if "no better than" not in warning]
    assert others == ["the front ends differ: frontend.normalization is standard in learned and none in both"]


def test_a_repeated_seed_is_told(trained_runs: Path, tmp_path: Path) -> None:
    shutil.copytree(trained_runs / "strided", tmp_path / "again")
    comparison = compare_runs([trained_runs / "strided", tmp_path / "again"])
    assert comparison.warnings[0] == "strided: several runs of the seed 0, which tell less than others would"


def test_runs_no_better_than_the_most_frequent_class_are_told(comparison: Comparison) -> None:
    for group in comparison.groups:
        for task in group.tasks:
            n_useless = sum(run.accuracy[task] <= {"tone": 1 / 3, "is_low": 2 / 3}[task] + 1e-9 for run in group.runs)
            told = [w for w in comparison.warnings if w.startswith(f"{group.name}: {task}: no better than always")]
            assert sum(int(w.split(" in ")[1].split()[0]) for w in told) == n_useless


def test_tasks_chosen(trained_runs: Path) -> None:
    runs = [trained_runs / name for name in ("strided", "both")]
    comparison = compare_runs(runs, tasks=["is_low"])
    assert [group.tasks for group in comparison.groups] == [(), ("is_low",)]
    with pytest.raises(UserError, match="task=dogs: no run has such a task, expected one of tone, is_low"):
        compare_runs(runs, tasks=["dogs"])


def test_progress_counts_the_files_of_all_runs(trained_runs: Path) -> None:
    told: list[tuple[int, int]] = []
    compare_runs(
        [trained_runs / name for name in ("strided", "both")], on_progress=lambda done, n: told.append((done, n))
    )
    assert told == [(i + 1, 12) for i in range(12)]


def test_mistakes_are_told_before_any_run_is_scored(trained_runs: Path, tmp_path: Path) -> None:
    told: list[int] = []
    with pytest.raises(UserError, match="split=dev"):
        compare_runs([trained_runs / "strided"], "dev", on_progress=lambda done, n: told.append(done))
    with pytest.raises(UserError, match="no such run"):
        compare_runs([trained_runs / "strided", tmp_path / "none"], on_progress=lambda done, n: told.append(done))
    assert told == []


def test_json_has_every_run_and_difference(comparison: Comparison) -> None:
    content = json.loads(json.dumps(as_dict(comparison)))
    assert [run["seed"] for group in content["groups"] for run in group["runs"]] == [0, 1, 0, 0]
    accuracy = comparison.groups[0].accuracy("tone")
    assert accuracy is not None
    assert content["groups"][0]["accuracy"]["tone"] == {
        "n": 2,
        "mean": accuracy.mean,
        "deviation": accuracy.deviation,
        "lowest": accuracy.low,
        "highest": accuracy.high,
    }
    assert len(content["differences"]) == 3


def test_csv_has_a_line_per_group_and_task(comparison: Comparison) -> None:
    lines = list(csv.DictReader(csv_table(comparison).splitlines()))
    assert [(line["runs"], line["task"]) for line in lines] == [
        (name, task) for name in ("learned", "strided", "both") for task in ("tone", "is_low")
    ]
    assert lines[1]["accuracy_mean"] == lines[1]["first_minus_this"] == ""
    assert float(lines[2]["first_minus_this"]) == comparison.pairs[0].difference.mean
    assert int(float(lines[2]["macs_per_window"])) == comparison.groups[1].runs[0].cost.macs
    assert len(lines[2]["final_stride_time"].split()) == 6


def test_runs_whose_name_is_no_utf8_are_written_with_its_bytes(
    trained_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(os.fsdecode(bytes(tmp_path) + b"/lat\xe9"))
    shutil.copytree(trained_runs / "strided", run)
    monkeypatch.chdir(run)
    result = compare_runs([Path()])
    assert result.groups[0].name == "lat\\xe9"
    for text in (csv_table(result), *csv_tables(result).values(), latex(result), markdown(result)):
        assert text.encode()


def test_every_table_is_a_csv_with_unrounded_numbers(comparison: Comparison) -> None:
    tables = {name: list(csv.DictReader(text.splitlines())) for name, text in csv_tables(comparison).items()}
    assert {name: len(rows) for name, rows in tables.items()} == {
        "runs": 4,
        "accuracy": 6,  # three groups, two tasks
        "cost": 3,
        "strides": 12,  # three groups, two axes, before and after
        "differences": 3,
    }
    spread = comparison.groups[0].accuracy("tone")
    assert spread is not None
    assert (tables["accuracy"][0]["mean"], tables["accuracy"][0]["deviation"]) == (
        str(spread.mean),
        str(spread.deviation),
    )
    assert tables["accuracy"][1]["mean"] == ""  # a task that the group lacks
    assert [row["seed"] for row in tables["runs"]] == ["0", "1", "0", "0"]
    assert float(tables["differences"][2]["difference"]) == comparison.pairs[2].difference.mean
    assert tables["strides"][0]["block_1"] == "random 1 to 3"


def test_a_group_alone_differs_from_none(trained_runs: Path) -> None:
    alone = compare_runs([trained_runs / "strided"])
    assert csv_tables(alone)["differences"].splitlines() == [
        "first,second,task,n_files,difference,interval_low,interval_high,within_spread"
    ]


def test_differences_name_what_is_subtracted_and_have_a_verdict(comparison: Comparison) -> None:
    table = next(table for table in text_tables(comparison) if table.title.startswith("differences"))
    assert [row[0] for row in table.rows] == [
        "learned minus strided",
        "learned minus both",
        "strided minus both",
    ]
    verdicts = [row[table.columns.index("verdict")] for row in table.rows]
    assert verdicts == ["within the spread" if p.difference.within_spread else "beyond it" for p in comparison.pairs]


def test_latex_has_every_table_with_as_many_cells_as_columns(comparison: Comparison) -> None:
    parts = latex(comparison).split(r"\begin{table}")[1:]
    tables = text_tables(comparison)
    assert len(parts) == len(tables)
    for part, table in zip(parts, tables, strict=True):
        rows = re.findall(r"    (?!\\)(.+) \\\\$", part, re.MULTILINE)
        assert len(rows) == 1 + len(table.rows)
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(table.columns) - 1}
    labels = re.findall(r"\\label{(.+)}", latex(comparison))
    assert len(set(labels)) == len(labels)


def test_names_mean_nothing_to_latex(trained_runs: Path, tmp_path: Path) -> None:
    shutil.copytree(trained_runs / "strided", tmp_path / "[50%_$x]{a}&#^~")
    text = latex(compare_runs([tmp_path / "[50%_$x]{a}&#^~"]))
    assert r"{[}50\%\_\$x]\{a\}\&\#\textasciicircum{}\textasciitilde{}" in text


def test_tables_fit_80_columns(comparison: Comparison) -> None:
    for table in text_tables(comparison):
        cells = [
            max(len(part) for row in (table.columns, *table.rows) for part in row[i].split("\n"))
            for i in range(len(table.columns))
        ]
        assert sum(cells) + len(cells) <= 80, table.title


def test_markdown_rows_have_the_columns_of_their_header(comparison: Comparison) -> None:
    for part in markdown(comparison).split("## ")[1:]:
        bars = {line.count("|") for line in part.splitlines() if line.startswith("|")}
        assert len(bars) == 1
