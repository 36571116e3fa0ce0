"""What a search leaves: its trials as a table and as JSON, and the recipe of the best one."""

import json
from dataclasses import asdict
from typing import Any

from audiostride.files import csv_text, write_text_atomic
from audiostride.runs.folder import RunFolder
from audiostride.search.study import Study, TrialResult, best_of

COLUMNS = ("trial", "state", "validation", "seconds")


def _cell(value: Any) -> object:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _row(trial: TrialResult, keys: list[str]) -> list[object]:
    value = "" if trial.value is None else f"{trial.value:.6f}"
    seconds = "" if trial.seconds is None else f"{trial.seconds:.1f}"
    settings = [_cell(trial.settings[key]) if key in trial.settings else "" for key in keys]
    return [trial.number, trial.state, value, seconds, *settings, trial.reason or ""]


def write_results(study: Study) -> None:
    """Write `trials.csv`, `trials.json` and, once a trial is done, `best.yaml`, as the study is now."""
    folder = study.folder
    with folder.lock():
        trials = study.trials()
        keys = [parameter.key for parameter in study.space]
        rows = [(*COLUMNS, *keys, "reason"), *(_row(trial, keys) for trial in trials)]
        write_text_atomic(folder.table, csv_text(rows))
        content = [asdict(trial) | {"run": folder.name(trial.number)} for trial in trials]
        write_text_atomic(folder.trials, json.dumps(content, indent=1, default=str) + "\n")
        best = best_of(trials)
        if best is not None and (recipe := RunFolder(folder.run(best.number)).recipe).exists():
            note = f"# the best of {len(trials)} trials: {folder.name(best.number)}, validation {best.value:.6f}\n"
            write_text_atomic(folder.best, note + recipe.read_text())
