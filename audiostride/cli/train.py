"""`audiostride train`: a recipe in, a run folder out."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiostride.cli.console import console, on_terminal, print_line, progress, say, show, table, visible
from audiostride.cli.options import Device, ShowAll
from audiostride.errors import UserError

if TYPE_CHECKING:
    import torch
    from rich.console import RenderableType

    from audiostride.evaluation.calibration import Calibration
    from audiostride.recipe.schema import Recipe
    from audiostride.training.events import Started
    from audiostride.vocabulary import Measure


def default_run_dir(recipe: Path) -> Path:
    """Choose the folder: `runs/` and the recipe's path below a folder called recipes, or its name elsewhere."""
    parts = Path(os.path.normpath(recipe.absolute())).with_suffix("").parts
    below = parts[len(parts) - parts[::-1].index("recipes") :] if "recipes" in parts[:-1] else parts[-1:]
    return Path("runs", *below)


@contextmanager
def _stop_on_signal(stop: Event) -> Iterator[None]:
    """Set the event on Ctrl-C or a request to terminate; a second one ends the program at once."""

    def request(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say("stopping after this step; again to stop at once")

    old = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _per_task(values: dict[str, float], form: str) -> str:
    return "  ".join(f"{task} {value:{form}}" for task, value in values.items())


def _measured(scores: dict[str, float], measures: dict[str, "Measure"]) -> str:
    """Name every measure once, with the tasks that are measured by it.

    >>> _measured({"words": 0.9, "birds": 0.5}, {"words": "accuracy", "birds": "map"})
    'accuracy words 0.900  mAP birds 0.500'
    """
    from audiostride.evaluation.measures import NAMES

    of_measure: dict[str, dict[str, float]] = {}
    for task, score in scores.items():
        of_measure.setdefault(NAMES[measures[task]], {})[task] = score
    return "  ".join(f"{name} {_per_task(of_tasks, '.3f')}" for name, of_tasks in of_measure.items())


class _Display:
    """Show one line per log entry, or on a terminal a few lines that stay in place."""

    def __init__(self, started: "Started") -> None:
        self.n_steps, self.first_step, self.began = started.n_steps, started.first_step, time.monotonic()
        self.validation = "not yet" if started.n_validation_clips else "none: no clips in the split valid"
        self.best = ""
        self.scores: dict[str, float] = {}
        self.line: dict[str, Any] = {}

    def _left(self, step: int) -> str:
        done = step - self.first_step
        return _duration((time.monotonic() - self.began) / done * (self.n_steps - step)) if done else "?"

    @staticmethod
    def _speed(line: dict[str, Any]) -> str:
        return f"{line['windows_per_s']:.0f} windows/s, waiting for data {line['waiting_share']:.1%}"

    def log(self, line: dict[str, Any]) -> None:
        if "validation" in line:
            if not line["validation"]:
                return
            self.scores = line["validation"]
            shown = _measured(line["validation"], line["measures"])
            self.validation = shown + ("  (best)" if line["is_best"] else "")
            if line["is_best"]:
                self.best = f", best at step {line['step']}: {shown}"
            if not on_terminal():
                say(f"step {line['step']}/{self.n_steps}  validation {self.validation}")
            return
        self.line = line
        if not on_terminal():
            say(
                f"step {line['step']}/{self.n_steps}  loss {_per_task(line['loss'], '.3f')}  "
                f"{self._speed(line)}  left {self._left(line['step'])}"
            )

    def render(self, step: int) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        rows = [f"step {step} of {self.n_steps}, left {self._left(step)}"]
        if self.line:
            rows += [
                f"loss        {_per_task(self.line['loss'], '.3f')}",
                f"accuracy    {_per_task(self.line['accuracy'], '.2f')}  (of the batch)",
                f"validation  {self.validation}",
                *(
                    f"strides     {axis:9}  " + "  ".join(f"{stride:.2f}" for stride in strides)
                    for axis, strides in self.line["strides"].items()
                ),
                f"speed       {self._speed(self.line)}",
            ]
        bar = ProgressBar(total=self.n_steps, completed=step)
        return Group(bar, *(Text(visible(row), no_wrap=True, overflow="ellipsis") for row in rows))


def _calibration_text(task: str, fitted: "Calibration") -> str:
    """Say what a fitted temperature does, and whether it is used."""
    from audiostride.evaluation.calibration import N_FOLDS

    clips = f"{task}: on {fitted.n_clips} validation clips the calibration error is {fitted.ece_before:.3f}"
    if fitted.n_clips < N_FOLDS:
        return f"{clips}; they are too few to fit a temperature"
    if fitted.kept:
        return f"{clips}, {fitted.ece_after:.3f} with the temperature {fitted.temperature:.2f}, which is kept"
    return f"{clips}, {fitted.ece_after:.3f} with a fitted temperature, which is not kept"


def _train(
    recipe: "Recipe",
    run_dir: Path,
    device: "torch.device",
    *,
    resume: bool,
    overwrite: bool,
    allow_changed_data: bool,
    tensorboard: bool,
) -> int:
    """Train, show how it goes, and return the exit code."""
    from rich.live import Live

    from audiostride.evaluation.majority import majority_text
    from audiostride.evaluation.measures import NAMES
    from audiostride.runs.folder import RunFolder
    from audiostride.training.events import Calibrated, Logged, Started, StepDone, Stopped
    from audiostride.training.run import train_recipe
    from audiostride.training.tensorboard_log import TENSORBOARD, TensorboardLog

    stop = Event()
    try:
        with progress("decoding") as on_decode:
            events = train_recipe(
                recipe,
                run_dir,
                device,
                resume=resume,
                overwrite=overwrite,
                stop=stop,
                on_decode=on_decode,
                allow_changed_data=allow_changed_data,
            )
            started = next(events)
    except KeyboardInterrupt:
        say("interrupted before the first step; nothing is saved but what was decoded")
        return 130
    assert isinstance(started, Started)
    if started.note:
        say(started.note)
    say(f"training in {run_dir} on {device}, step {started.first_step} to {started.n_steps}; Ctrl-C saves and stops")
    if tensorboard:
        say(f"watch: tensorboard --logdir {run_dir / TENSORBOARD}")
    display = _Display(started)
    written = TensorboardLog(run_dir, started.first_step) if tensorboard else nullcontext()
    live = Live(console=console(stderr=True), transient=True)
    with _stop_on_signal(stop), written as scalars, live:
        for event in events:
            if isinstance(event, Logged):
                display.log(event.values)
                if scalars is not None:
                    scalars.add(event.values)
            elif isinstance(event, StepDone) and on_terminal():
                live.update(display.render(event.step))
            elif isinstance(event, Calibrated):
                calibration = event.tasks
            elif isinstance(event, Stopped) and not event.finished:
                say(f"saved at step {event.step}; go on with:")
                say(f"  audiostride train {RunFolder(run_dir).recipe} --run-dir {run_dir} --resume")
                return 130
            elif isinstance(event, Stopped):
                stopped = event
    for task, fitted in calibration.items():
        say(_calibration_text(task, fitted))
    if stopped.early:
        say(
            f"{run_dir}: ended at step {stopped.step} of {started.n_steps}, no new best in the last "
            f"{recipe.training.early_stop_after} validations; go on with --resume --set training.early_stop_after=null"
        )
        if started.first_step == stopped.step:
            return 0
    elif started.first_step == started.n_steps:
        say(f"{run_dir}: all {started.n_steps} steps were done before; more with --set training.steps=N")
        return 0
    for task, (name, reached) in started.trivial.items():
        if display.scores.get(task, 1.0) <= reached:
            measure = NAMES[started.measures[task]]
            say(f"{task}: the validation {measure} is {majority_text(name)} ({reached:.3f})")
    if started.unheard:
        say(
            f"{', '.join(started.unheard)}: this model has never heard silence, noise or other sounds, and will take "
            "them for one of its classes; tasks.NAME.background names a class of such sounds"
        )
    say(f"done: {run_dir}  validation {display.validation}{display.best}")
    strides = f", audiostride strides {run_dir}" if display.line.get("strides") else ""
    say(f"next: audiostride eval {run_dir}{strides}")
    return 0


def layer_name(module_name: str) -> str:
    """Name a layer for people, blocks counted from 1.

    >>> layer_name("backbone.blocks.0.time.conv")
    'block 1 time conv'
    """
    parts = module_name.removeprefix("backbone.").split(".")
    if parts[0] == "blocks":
        parts = ["block", str(int(parts[1]) + 1), *parts[2:]]
    return " ".join(parts).replace("heads task_", "head ")


def _dry_run(recipe: "Recipe", device: "torch.device") -> None:
    from audiostride.build import build_model
    from audiostride.models.registry import check_backbone
    from audiostride.training.data import build_training_data
    from audiostride.training.dry_run import inspect_batch, kept_copies
    from audiostride.training.finetune import adopt_settings, load_origin

    if origin := load_origin(recipe):
        recipe = adopt_settings(recipe, origin)
    check_backbone(recipe.model.backbone)
    with progress("decoding") as on_decode:
        data = build_training_data(recipe, on_decode)
    if data.note:
        say(data.note)
    model = build_model(recipe, data.classes).to(device)
    model.backbone.requires_grad_(not recipe.training.freeze_trunk)
    cost = inspect_batch(
        model,
        data.batches(0),
        device,
        bf16=recipe.training.precision == "bf16",
        n_parts=recipe.training.accumulate,
        n_copies=kept_copies(recipe.training),
    )
    layers = table("layer", "output", "params", "MACs", "stride", "realised", left=2)
    for layer in cost.layers:
        name = layer_name(layer.name)
        shape = " x ".join(map(str, layer.output_shape))
        strides = ["/".join(f"{value:.2f}" for value in values.values()) for values in (layer.stride, layer.realised)]
        layers.add_row(name, shape, f"{layer.n_parameters:,}", f"{layer.n_macs:,}", *strides)
    n_parameters = sum(layer.n_parameters for layer in cost.layers)
    layers.add_section()
    layers.add_row("all", "", f"{n_parameters:,}", f"{sum(layer.n_macs for layer in cost.layers):,}", "", "")
    show("one example, layer by layer", layers)
    steps, rows = recipe.training.steps, recipe.training.batch_size
    print_line(f"peak memory {cost.peak_memory_bytes / 2**20:,.0f} MiB ({device}, batch of {rows})")
    print_line(
        f"{cost.seconds_per_step:.3f} s per step, about {_duration(cost.seconds_per_step * steps)} for {steps:,} steps"
    )


def command(
    recipe: Annotated[Path, typer.Argument(help="Recipe in YAML.")],
    *,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as in model.width=0.25.")
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Run folder; by default runs/ and the recipe's path below recipes.")
    ] = None,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run in the folder.")] = False,
    allow_changed_data: Annotated[
        bool,
        typer.Option("--allow-changed-data", help="With --resume: go on although recordings or rows have changed."),
    ] = False,
    show_all: ShowAll = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="One real batch: layers, memory and time; no run is written.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write scalars into RUN/tensorboard; needs the extra tensorboard.")
    ] = False,
) -> None:
    """Train a recipe."""
    from audiostride.recipe.reader import load_recipe
    from audiostride.training.tensorboard_log import require_tensorboard

    if tensorboard:
        require_tensorboard()
    checked = load_recipe(recipe, overrides or ())
    folder = default_run_dir(recipe) if run_dir is None else run_dir
    if resume and overwrite:
        raise UserError("--resume and --overwrite exclude each other")

    from audiostride.device import choose_device

    chosen = choose_device(device)
    if dry_run:
        _dry_run(checked, chosen)
    else:
        exit_code = _train(
            checked,
            folder,
            chosen,
            resume=resume,
            overwrite=overwrite,
            allow_changed_data=allow_changed_data,
            tensorboard=tensorboard,
        )
        raise typer.Exit(exit_code)
