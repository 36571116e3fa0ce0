"""`audiostride listen`: sound from a pipe in, a line per detection out."""

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from audiostride.cli.console import say, visible
from audiostride.cli.predict import note_uncalibrated
from audiostride.errors import UserError

STDIN = 0


def command(
    run: Annotated[Path, typer.Argument(help="Run folder, checkpoint file or exported .onnx file.")],
    sample_rate: Annotated[int, typer.Option(help="Of the input, in Hz.")] = 16000,
    channels: Annotated[int, typer.Option(help="Of the input; they are averaged.")] = 1,
    encoding: Annotated[str, typer.Option(help="Of the input: s16le or f32le.")] = "s16le",
    window_s: Annotated[float | None, typer.Option(help="Window in seconds; by default the model's own.")] = None,
    hop_s: Annotated[float | None, typer.Option(help="Hop between windows; by default half a window.")] = None,
    threshold: Annotated[float, typer.Option(help="What is less probable is no detection.")] = 0.5,
    task: Annotated[list[str] | None, typer.Option(help="Only this task; may be repeated.")] = None,
    device: Annotated[str, typer.Option(help="Of a run: auto, cpu, cuda or mps.")] = "auto",
    checkpoint: Annotated[str, typer.Option(help="Of a run folder: best or last.")] = "best",
) -> None:
    """Listen to raw PCM on standard input, and print start, end, task, class and probability of what is heard.

    One line per window and task, tab-separated, as soon as the window is complete; times in seconds from the start.
    """
    from audiostride.loading import load_model
    from audiostride.prediction.live import ENCODINGS, Pcm, listen
    from audiostride.prediction.predictor import MAX_RATE_HZ
    from audiostride.prediction.stream import check_tasks, window_samples
    from audiostride.prediction.tables import Selection

    if not 1 <= sample_rate <= MAX_RATE_HZ:
        raise UserError(f"--sample-rate {sample_rate}: expected Hz, 1 to {MAX_RATE_HZ}")
    if not 1 <= channels <= 1024:
        raise UserError(f"--channels {channels}: expected 1 to 1024")
    if encoding not in ENCODINGS:
        raise UserError(f"--encoding {encoding}: expected one of {', '.join(ENCODINGS)}")
    if not 0 <= threshold <= 1:
        raise UserError(f"--threshold {threshold:g}: expected a probability from 0 to 1")
    model = load_model(run, device, checkpoint)
    tasks = check_tasks(model, task or ())
    n_window, n_hop = window_samples(model, window_s, hop_s)
    selection = Selection(model.classes, top_k=1, threshold=threshold)
    note_uncalibrated(model, tasks)
    say(f"listening at {sample_rate} Hz; Ctrl-C ends")
    pcm = Pcm(sample_rate, channels, encoding)  # type: ignore[arg-type]
    try:
        with closing(listen(model, STDIN, pcm, tasks, n_window, n_hop)) as results:
            for result in results:
                for name, classes in selection.of(result.probabilities).items():
                    for shown in classes:
                        times = f"{result.start_s:.3f}\t{result.end_s:.3f}"
                        names = visible(f"{name}\t{shown.name}")
                        print(f"{times}\t{names}\t{shown.probability:.3f}", flush=True)
    except KeyboardInterrupt:
        return
    except BrokenPipeError:  # nobody reads on; nor may the flush at exit complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
