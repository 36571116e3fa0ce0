"""`audiostride predict`: recordings in, tables of what the model hears in them out."""

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiostride.cli.console import counted, progress, say, say_no_picture, say_reasons, say_unusable
from audiostride.cli.gather import gather
from audiostride.cli.options import (
    MODEL_HELP,
    Confirm,
    Device,
    HopS,
    Refractory,
    Smooth,
    Tasks,
    WhichCheckpoint,
    WindowS,
    make_rules,
    note_checkpoint,
    parse_pair,
)
from audiostride.errors import UserError
from audiostride.vocabulary import Format

if TYPE_CHECKING:
    from audiostride.prediction.clip_folder import ClipsDone
    from audiostride.prediction.clips import ClipSettings
    from audiostride.prediction.folder import Outcome
    from audiostride.prediction.model import WindowModel

EXAMPLES = """
audiostride predict runs/birds recordings --out results
audiostride predict birds.onnx a.wav --out results
audiostride predict runs/birds disk --out results \\
    --confirm 2/3 --clips review
"""


N_THREADS = 2  # decoding keeps up with the model


def _launched_part() -> tuple[int, int]:
    """Give the part of this process under torchrun, which sets both variables; all where one of them is missing.

    Raises:
        UserError: they are no rank among so many processes.
    """
    rank, n = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    if rank is None or n is None:
        return 1, 1
    if not (rank.isdecimal() and n.isdecimal() and int(rank) < int(n)):
        raise UserError(
            f"the environment variables RANK={rank} and WORLD_SIZE={n}: expected a number from 0 and a "
            "larger one, as torchrun sets them; --shard I/N takes their place"
        )
    return int(rank) + 1, int(n)


def parse_shard(text: str | None) -> tuple[int, int]:
    """`I/N` as given, else the part of this process under torchrun, else all.

    >>> parse_shard("2/4")
    (2, 4)
    """
    if text is None:
        return _launched_part()
    pair = parse_pair(text)
    if pair is None or not 1 <= pair[0] <= pair[1]:
        raise UserError(f"--shard {text}: expected I/N, as in 2/4 for the second of four parts")
    return pair


def read_clip_options(folder: Path | None, pad_s: float | None, per_class: int | None) -> "ClipSettings | None":
    """Say which clips to cut, if any.

    Raises:
        UserError: a value out of range, or an option without the folder.
    """
    from audiostride.prediction.clips import PAD_S, PER_CLASS, ClipSettings

    if folder is not None:
        return ClipSettings(folder, PAD_S if pad_s is None else pad_s, PER_CLASS if per_class is None else per_class)
    for option, value in (("--clip-pad", pad_s), ("--clips-per-class", per_class)):
        if value is not None:
            raise UserError(f"{option} {value:g}: needs --clips DIR, where the clips go")
    return None


def note_uncalibrated(model: "WindowModel", tasks: tuple[str, ...]) -> None:
    """Say which probabilities are the model's own, which mostly is too sure."""
    names = [task for task in tasks if model.temperatures[task] == 1]
    if names:
        whose = f"task {names[0]}: its" if len(names) == 1 else f"tasks {', '.join(names)}: their"
        say(f"{whose} probabilities are not calibrated")


def command(
    context: typer.Context,
    *,
    run: Annotated[Path | None, typer.Argument(help=MODEL_HELP, show_default=False)] = None,
    path: Annotated[
        list[str] | None, typer.Argument(help="Recordings, folders of them, or patterns such as 'd/**/*.wav'.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the results. After an interruption, run the same command again: it goes on."),
    ] = None,
    format_name: Annotated[
        Format, typer.Option("--format", help="Format of the tables. parquet needs the package pyarrow.")
    ] = "csv",
    top_k: Annotated[
        int | None,
        typer.Option(
            help="Number of classes in the tables for each task.", show_default="3, and all of a multi-label task"
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Least probability of a class in the tables, from 0 to 1.",
            show_default="the model's own, else 0.5 for detections, 0 for other tables",
        ),
    ] = None,
    confirm: Confirm = None,
    refractory: Refractory = None,
    smooth: Smooth = None,
    clips: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Cut detections out of their recordings: DIR/CLASS/PROBABILITY_RECORDING_STARTs.wav."
        ),
    ] = None,
    clip_pad: Annotated[
        float | None,
        typer.Option(
            metavar="S", help="Seconds that a clip of --clips has before and after its detection.", show_default="0.5"
        ),
    ] = None,
    clips_per_class: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Number of clips of a class that --clips cuts at most, the most probable first.",
            show_default="200",
        ),
    ] = None,
    window_s: WindowS = None,
    hop_s: HopS = None,
    device: Device = "auto",
    checkpoint: WhichCheckpoint = "best",
    task: Tasks = None,
    jobs: Annotated[int, typer.Option(help="Threads that decode recordings.")] = N_THREADS,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Predict the I-th of N parts of the recordings.",
            show_default="all; under torchrun, the part of the rank",
        ),
    ] = None,
    gather_dir: Annotated[
        Path | None,
        typer.Option(
            "--gather", metavar="DIR", help="Join the parts that --shard left in DIR; without RUN, PATH and --out."
        ),
    ] = None,
    safe_cells: Annotated[
        bool,
        typer.Option(help="In CSV, put an apostrophe before names that a spreadsheet takes for formulas (=, +, -, @)."),
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew, and replace the results that the folder holds.")
    ] = False,
) -> None:
    """Predict recordings of any length, into tables.

    The tables hold the probabilities of every file and of every window, and the detections.
    """
    if gather_dir is not None:
        raise typer.Exit(gather(context, gather_dir, overwrite=overwrite))
    if run is None or not path or out is None:
        missing = "RUN" if run is None else "--out" if path else "PATH"
        raise UserError(f"{missing} is missing, expected RUN PATH... --out DIR, or --gather DIR alone")
    from audiostride.data.recordings import count_left_out, find_inputs
    from audiostride.loading import load_model
    from audiostride.prediction.clips import check_apart
    from audiostride.prediction.folder import Outcome, predict_into
    from audiostride.prediction.outputs import Settings
    from audiostride.prediction.selection import check_threshold
    from audiostride.prediction.stream import check_tasks, window_samples
    from audiostride.prediction.tables import check_format

    kind = check_format(format_name)
    if top_k is not None and top_k < 1:
        raise UserError(f"--top-k {top_k}: expected at least 1")
    check_threshold(threshold)
    if not 1 <= jobs <= 256:
        raise UserError(f"--jobs {jobs}: expected 1 to 256")
    rules, part = make_rules(confirm, refractory, smooth), parse_shard(shard)
    cutting = read_clip_options(clips, clip_pad, clips_per_class)
    note_checkpoint(run, checkpoint)
    model = load_model(run, device, checkpoint)
    recordings = find_inputs(path)
    if cutting is not None:
        check_apart(cutting.folder, path, recordings)
    if n_others := count_left_out(path):
        say(f"left out, not named like recordings: {counted(n_others, 'file')}")
    tasks = check_tasks(model, task or ())
    n_window, n_hop = window_samples(model, window_s, hop_s)
    settings = Settings(kind, tasks, n_window, n_hop, top_k, threshold, part, safe_cells, rules)
    note_uncalibrated(model, tasks)
    try:
        with (
            progress("files") as on_progress,
            closing(predict_into(model, recordings, out, settings, jobs, overwrite=overwrite, clips=cutting)) as events,
        ):
            for event in events:
                if isinstance(event, Outcome):
                    outcome = event
                else:
                    on_progress(event.n_done, event.n_all)
    except KeyboardInterrupt:
        say(f"interrupted; run the same command again{' without --overwrite' * overwrite}: it resumes")
        raise typer.Exit(130) from None
    raise typer.Exit(_report(outcome, out))


def _report(outcome: "Outcome", out: Path) -> int:
    """Say what was done; the exit code."""
    code = _report_recordings(outcome, out)
    if outcome.lacks_picture:
        say_no_picture()
    return code if outcome.clips is None else max(code, _report_clips(outcome.clips))


def _report_clips(done: "ClipsDone") -> int:
    removed = f", {done.n_removed} removed" if done.n_removed else ""
    say(f"{done.folder}: {counted(done.n_all, 'clip')}, {done.n_written} of them new{removed}")
    if not done.failed:
        return 0
    say(f"no clips could be cut out of {counted(len(done.failed), 'recording')}:")
    say_reasons(done.failed)
    return 1


def _report_recordings(outcome: "Outcome", out: Path) -> int:
    if outcome.rewritten:
        say(f"{out}: tables of {counted(outcome.n_before, 'recording')} written again from the logits that were kept")
    if outcome.n_done == 0 and not outcome.failed:
        if not outcome.rewritten:
            say(f"{out}: {counted(outcome.n_before, 'recording')} predicted before, nothing to do")
        return 0
    before = f", {outcome.n_before} before" if outcome.n_before else ""
    say(f"{out}: {counted(outcome.n_done, 'recording')} predicted{before}")
    return say_unusable(outcome.failed)
