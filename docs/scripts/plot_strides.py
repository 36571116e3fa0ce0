"""Plot the strides of a run over training: plot_strides.py RUN OUT.png"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from audiostride.metrics_log import read_metrics


def main() -> None:
    run, out = Path(sys.argv[1]), Path(sys.argv[2])
    lines = [line for line in read_metrics(run) if "strides" in line]
    steps = [line["step"] for line in lines]
    figure, panels = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
    for panel, axis in zip(panels, ("time", "frequency"), strict=True):
        for block in range(6):
            panel.plot(steps, [line["strides"][axis][block] for line in lines], label=f"block {block + 1}")
        panel.set(title=f"along {axis}", xlabel="step")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("stride")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
