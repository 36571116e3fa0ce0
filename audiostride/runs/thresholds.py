"""Choose the thresholds of a run on a split of its manifest, and keep them in its checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from audiostride.data.targets import membership
from audiostride.errors import UserError
from audiostride.evaluation.probabilities import probabilities
from audiostride.evaluation.thresholds import ClassThreshold, Target, choose_threshold, lay_out
from audiostride.runs.checkpoint import Checkpoint, load_checkpoint, write_checkpoint
from audiostride.runs.folder import RunFolder
from audiostride.runs.scoring import RunScore, score_run


@dataclass(frozen=True)
class Thresholds:
    """What was chosen per task and class, on which split, and a note on recordings left out."""

    target: Target
    split: str
    tasks: Mapping[str, Sequence[ClassThreshold]]
    note: str | None

    def as_dict(self) -> dict[str, Any]:
        """Give the content as JSON takes it."""
        tasks = {task: [asdict(each) for each in of_task] for task, of_task in self.tasks.items()}
        return {"target": str(self.target), "split": self.split, "tasks": tasks}


def _of_task(checkpoint: Checkpoint, task: str, result: RunScore, target: Target) -> list[ClassThreshold]:
    """Choose the thresholds of a task; its background has none."""
    classes, traits = checkpoint.classes[task], checkpoint.traits[task]
    shares = probabilities(result.logits[task].numpy(), checkpoint.temperature(task) or 1.0, traits.kind)
    truth = membership(result.labels[task], len(classes)).numpy()
    clips = [prediction for prediction in result.predictions if prediction.task == task]
    starts = [prediction.clip.start_s for prediction in clips]
    ends = [start + prediction.duration_s for start, prediction in zip(starts, clips, strict=True)]
    timeline = lay_out([str(prediction.clip.path) for prediction in clips], starts, ends)
    return [
        choose_threshold(name, shares[:, i], truth[:, i], timeline, target)
        for i, name in enumerate(classes)
        if name != traits.background
    ]


def choose_thresholds(
    checkpoint: Checkpoint,
    target: Target,
    split: str = "valid",
    *,
    manifest: Path | str | None = None,
    tasks: Sequence[str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Thresholds:
    """Choose a threshold per class from the calibrated probabilities of the clips of a split.

    Args:
        checkpoint: of the run.
        target: what the thresholds are to reach.
        split: whose clips; not those that the score is to be reported on.
        manifest: instead of the recipe's own, for the tasks whose label column it has.
        tasks: only these.
        on_progress: called with the clips done and in all.

    Raises:
        UserError, DataError: as `score_run`.
    """
    result = score_run(checkpoint, split, manifest=manifest, tasks=tasks, on_progress=on_progress)
    of_tasks = {task: _of_task(checkpoint, task, result, target) for task in result.scores}
    return Thresholds(target, split, of_tasks, result.note)


def keep_thresholds(checkpoint: Checkpoint, chosen: Thresholds) -> None:
    """Write the thresholds into the checkpoint, and for people into the folder of its run; other tasks keep theirs.

    Raises:
        UserError: the checkpoint has changed since it was read.
    """
    if load_checkpoint(checkpoint.path).step != checkpoint.step:
        raise UserError(f"{checkpoint.path}: changed while thresholds were chosen, nothing is written")
    values = {
        task: {each.name: each.threshold for each in of_task if each.threshold is not None}
        for task, of_task in chosen.tasks.items()
    }
    write_checkpoint(replace(checkpoint, thresholds=checkpoint.thresholds | values))
    if (run := RunFolder.of_checkpoint(checkpoint.path)) is not None:
        run.write_thresholds(checkpoint.step, chosen.as_dict())
