"""Print the table of results in README, from the runs of docs/results/strides.md.

python docs/scripts/readme_table.py
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from strides_page import accuracy, chosen
from study_strides import MAIN_TASKS, RESULTS, read_lines

METHODS = {
    "strided": "strided convolutions",
    "spectral": "spectral pooling",
    "fixed": "DiffStride, nothing learned",
    "diffstride": "**DiffStride**",
}
STUDIES = {"A": "random starts", "B": "good starts"}


def table() -> str:
    """Give the rows: mean and standard deviation of the test accuracy, per method and start."""
    lines = read_lines(RESULTS)
    rows = [
        "| strides at the start | method | " + " | ".join(MAIN_TASKS) + " |",
        "|---|---|" + "---|" * len(MAIN_TASKS),
    ]
    for study, start in STUDIES.items():
        for method, name in METHODS.items():
            cells = []
            for task in MAIN_TASKS:
                values = [accuracy(run) for run in chosen(lines, study=study, task=task, method=method, steps=600)]
                if values:
                    cells.append(f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}")
            if cells:
                rows.append(f"| {start} ({len(values)}) | {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    print(table())


if __name__ == "__main__":
    main()
