"""A model, the threads that work for requests, and how many of those there may be."""

import asyncio
import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from audiostride.prediction.model import WindowModel
from audiostride.prediction.selection import select
from audiostride.serving.answer import MAX_WINDOWS, Question, answer
from audiostride.serving.batching import POLL_S, Batcher, Job
from audiostride.serving.slots import Slots
from audiostride.serving.uploads import save_upload
from audiostride.vocabulary import MAX_UPLOAD_MB, MAX_UPLOAD_S, UPLOAD_TIMEOUT_S

N_DECODERS = 4


@dataclass(frozen=True)
class Limits:
    """What a request may ask for, and how many there may be.

    Attributes:
        max_mb: of a file, 10^6 bytes.
        max_s: duration of a recording.
        timeout_s: for an upload, and again for its answer.
        n_uploads: that come in at a time.
        n_answers: that are worked on, or wait for it, at a time.
        n_windows: of all requests that are worked on at a time.
    """

    max_mb: float = MAX_UPLOAD_MB
    max_s: float = MAX_UPLOAD_S
    timeout_s: float = UPLOAD_TIMEOUT_S
    n_uploads: int = 256
    n_answers: int = 128
    n_windows: int = MAX_WINDOWS

    @property
    def max_bytes(self) -> int:
        """Count the bytes that a file may have."""
        return int(self.max_mb * 1e6)


class Service:
    """Answers uploads with a model.

    Args:
        model: what `audiostride.loading.load_model` gives.
        limits: on uploads.
        threshold: probability from which on a class is detected; by default the model's own.
    """

    def __init__(self, model: WindowModel, limits: Limits, threshold: float | None = None) -> None:
        self.model, self.limits = model, limits
        self.detections = select(model, tuple(model.classes), threshold=threshold, exclusive=True)
        self.batcher = Batcher(model)
        self.uploads, self.answers = Slots(limits.n_uploads), Slots(limits.n_answers)
        self.windows = Slots(limits.n_windows, "windows")
        self._pool = ThreadPoolExecutor(N_DECODERS, "decode")
        self._jobs: set[Job] = set()

    def close(self) -> None:
        """Give up what is being worked on, and end the threads."""
        for job in self._jobs:
            job.give_up()
        self._pool.shutdown(cancel_futures=True)
        self.batcher.close()

    async def predict(self, request: Request, question: Question) -> bytes:
        """Answer a request that brings a file, as JSON.

        Raises:
            HTTPException: a file that cannot be taken, or no place for it. BadAudioError, TooLongError, AnswerError,
                TimeoutError: as `answer`. ClientDisconnect: the client is gone.
        """
        try:
            return await self._predict(request, question)
        except TimeoutError:
            raise
        except OSError as error:  # also where the file is closed, which writes what is left
            raise HTTPException(507, f"the server cannot store the file ({error.strerror or error})") from error

    async def _predict(self, request: Request, question: Question) -> bytes:
        with tempfile.NamedTemporaryFile(prefix="audiostride-") as file:
            with self.uploads.take():
                try:
                    async with asyncio.timeout(self.limits.timeout_s):
                        await save_upload(request, file, self.limits.max_bytes)
                except TimeoutError as error:
                    told = f"the file did not come within {self.limits.timeout_s:g} s"
                    raise HTTPException(408, told, {"Connection": "close"}) from error
            with self.answers.take():
                return await self._answer(request, Path(file.name), question)

    async def _answer(self, request: Request, path: Path, question: Question) -> bytes:
        job = Job(self.limits.timeout_s)
        self._jobs.add(job)
        working = asyncio.get_running_loop().run_in_executor(self._pool, self._work, path, question, job)
        try:
            while True:
                if (await asyncio.wait({working}, timeout=POLL_S))[0]:
                    return working.result()
                if await request.is_disconnected():
                    raise ClientDisconnect
                job.check()
        finally:
            job.give_up()
            self._jobs.discard(job)
            working.cancel()

    def _work(self, path: Path, question: Question, job: Job) -> bytes:
        content = answer(
            path,
            question,
            model=self.model,
            detections=self.detections,
            batcher=self.batcher,
            job=job,
            max_s=self.limits.max_s,
            places=self.windows,
        )
        return json.dumps(content).encode()  # a large one would hold up the other requests of the event loop
