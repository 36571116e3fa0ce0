"""`audiostride listen`: sound from a pipe in, a line per detection out."""

import os
import sys
from contextlib import closing
from typing import Annotated

import typer

from audiostride.cli.console import say, visible
from audiostride.cli.options import (
    Confirm,
    Device,
    HopS,
    ModelPath,
    Refractory,
    Smooth,
    Tasks,
    Threshold,
    WhichCheckpoint,
    WindowS,
    make_rules,
    note_checkpoint,
)
from audiostride.cli.predict import note_uncalibrated
from audiostride.errors import UserError
from audiostride.vocabulary import MIN_RATE_HZ, Encoding

EXAMPLES = """
arecord -q -t raw -f S16_LE -r 16000 |
    audiostride listen runs/wake --confirm 2/3
"""


STDIN = 0


def command(
    *,
    run: ModelPath,
    sample_rate: Annotated[int, typer.Option(help="Sample rate of the input in Hz.")] = 16000,
    channels: Annotated[int, typer.Option(help="Number of channels of the input, which are averaged.")] = 1,
    encoding: Annotated[
        Encoding, typer.Option(help="Sample format of the input: 16-bit integers or 32-bit floats, little-endian.")
    ] = "s16le",
    window_s: WindowS = None,
    hop_s: HopS = None,
    threshold: Threshold = None,
    confirm: Confirm = None,
    refractory: Refractory = None,
    smooth: Smooth = None,
    task: Tasks = None,
    device: Device = "auto",
    checkpoint: WhichCheckpoint = "best",
) -> None:
    """Listen to raw sound on standard input, a line per detection.

    A line has start, end, task, class and probability, separated by tabs. It comes for every window in which a class
    is detected, as soon as the window is complete; with --refractory for every event, when it begins. Times are in
    seconds from the start. With --confirm a line begins with the first of the windows that confirm it.
    """
    from audiostride.loading import load_model
    from audiostride.prediction.detector import Detector
    from audiostride.prediction.events import EventMerger
    from audiostride.prediction.live import Pcm, listen
    from audiostride.prediction.predictor import MAX_RATE_HZ
    from audiostride.prediction.selection import check_threshold, select
    from audiostride.prediction.stream import check_tasks, window_samples

    if not MIN_RATE_HZ <= sample_rate <= MAX_RATE_HZ:
        raise UserError(f"--sample-rate {sample_rate}: expected Hz, {MIN_RATE_HZ} to {MAX_RATE_HZ}")
    if not 1 <= channels <= 1024:
        raise UserError(f"--channels {channels}: expected 1 to 1024")
    check_threshold(threshold)
    rules = make_rules(confirm, refractory, smooth)
    if os.isatty(STDIN):
        raise UserError(
            "standard input: a terminal, expected raw sound from a pipe: "
            f"arecord -q -t raw -f S16_LE -r {sample_rate} | audiostride listen {run}"
        )
    note_checkpoint(run, checkpoint)
    model = load_model(run, device, checkpoint)
    tasks = check_tasks(model, task or ())
    n_window, n_hop = window_samples(model, window_s, hop_s)
    detector = Detector(select(model, tasks, threshold=threshold, exclusive=True), rules)
    merger = None if refractory is None else EventMerger(rules.gap_s, keep=False)
    note_uncalibrated(model, tasks)
    say(f"listening at {sample_rate} Hz; Ctrl-C ends")
    pcm = Pcm(sample_rate, channels, encoding)
    try:
        with closing(listen(model, STDIN, pcm, tasks, n_window=n_window, n_hop=n_hop)) as results:
            for result in results:
                for event in detector.add(result):
                    if merger is not None and not merger.add(event):
                        continue
                    times = f"{event.start_s:.3f}\t{event.end_s:.3f}"
                    names = visible(f"{event.task}\t{event.name}")
                    print(f"{times}\t{names}\t{event.probability:.3f}", flush=True)
    except KeyboardInterrupt:
        return
    except BrokenPipeError:  # nobody reads on; nor may the flush at exit complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
