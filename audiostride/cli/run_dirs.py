"""Where runs are written that the command line names no folder for, and the files of a run."""

import os
from pathlib import Path


def default_run_dir(recipe: Path) -> Path:
    """Choose the folder: `runs/` and the recipe's path below a folder called recipes, or its name elsewhere."""
    parts = Path(os.path.normpath(recipe.absolute())).with_suffix("").parts
    below = parts[len(parts) - parts[::-1].index("recipes") :] if "recipes" in parts[:-1] else parts[-1:]
    return Path("runs", *below)


def several_runs_dir(recipe: Path, what: str) -> Path:
    """Choose the folder that holds several runs: beside that of a single one.

    >>> several_runs_dir(Path("recipes/esc50/mini.yaml"), "folds").as_posix()
    'runs/esc50/mini-folds'
    """
    single = default_run_dir(recipe)
    return single.with_name(f"{single.name}-{what}")


def run_files(run: Path) -> list[Path]:
    """List the files that a run folder, or a checkpoint given for it, cannot do without."""
    from audiostride.runs.folder import RunFolder

    folder = RunFolder.containing(run)
    return [*([run] if run.is_file() else ()), *([] if folder is None else folder.files())]
