"""What logits and tables depend on: a journal that was begun with something else cannot be gone on with."""

import hashlib
from typing import Any

from audiostride.prediction.model import WindowModel
from audiostride.prediction.outputs import Settings
from audiostride.prediction.state import TABLES_LAYOUT
from audiostride.prediction.tables import EVENT_FORMATS

LAYOUT = 2  # of logits and their journal


def predicted_with(model: WindowModel, settings: Settings) -> dict[str, Any]:
    """Describe what logits depend on; in words of the command line, for messages."""
    with model.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "layout": LAYOUT,
        "model": digest,
        "--task": list(settings.tasks),
        "--window-s": settings.n_window / model.sample_rate,
        "--hop-s": settings.n_hop / model.sample_rate,
    }


def written_with(model: WindowModel, settings: Settings, root: str) -> dict[str, Any]:
    """Describe what tables depend on beside the logits."""
    thresholds = {"thresholds": settings.selection(model), "thresholds of detections": settings.detected(model)}
    return {
        "layout": TABLES_LAYOUT,
        "temperatures": {task: model.temperatures[task] for task in settings.tasks},
        "--format": settings.format,
        "--top-k": settings.top_k,
        **{name: {task: of.tolist() for task, of in each.thresholds.items()} for name, each in thresholds.items()},
        "--safe-cells": settings.safe_cells,
        "--confirm": list(settings.rules.confirm),
        "--refractory": settings.rules.refractory_s,
        "--smooth": settings.rules.smooth_s,
        # which the names of the files of events depend on
        "folder of all recordings": root if settings.format in EVENT_FORMATS else None,
    }
