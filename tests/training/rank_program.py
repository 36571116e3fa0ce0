"""The program as `torchrun` starts it, with ranks that kill themselves: `KILLS=RANK@STEP,…`, each once per `MARKS`."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audiostride.cli.main import main
from audiostride.training import run
from audiostride.training.events import StepDone


def killed(kills: str, marks: Path) -> None:
    own = run.train_steps

    def steps(*arguments: Any, **settings: Any) -> Iterator[object]:
        for event in own(*arguments, **settings):
            yield event
            if isinstance(event, StepDone):
                name = f"{os.environ['RANK']}@{event.step}"
                if name in kills.split(",") and not (marks / name).exists():
                    (marks / name).touch()
                    os.kill(os.getpid(), signal.SIGKILL)

    run.train_steps = steps  # type: ignore[assignment]


if __name__ == "__main__":
    if "KILLS" in os.environ:
        killed(os.environ["KILLS"], Path(os.environ["MARKS"]))
    main()
