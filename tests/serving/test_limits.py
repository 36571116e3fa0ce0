"""A server that is busy, stuck or without room says so, and answers again afterwards."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from audiostride.evaluation.traits import Traits
from audiostride.serving.app import build_app
from audiostride.serving.service import Limits
from tests.serving.clips import assert_refused, audio
from tests.serving.conftest import LIMITS
from tests.serving.server import Client, serving


class Stuck:
    """A model that does not answer before it may, or fails."""

    path, sample_rate, n_window, min_window, takes_any_window = Path("stuck"), 16000, 16000, 16000, False
    classes, temperatures, traits = {"tone": ("low", "high")}, {"tone": 1.0}, {"tone": Traits()}

    def __init__(self) -> None:
        self.may, self.fails = Event(), False

    def logits(self, windows: np.ndarray) -> dict[str, np.ndarray]:
        assert self.may.wait(30)
        if self.fails:
            raise ValueError("no luck")
        return {"tone": np.zeros((len(windows), 2), np.float32)}


def test_no_answer_in_time_and_no_place(field: Path) -> None:
    stuck, body = Stuck(), (field / "stereo.wav").read_bytes()
    with (
        serving(build_app(stuck, Limits(timeout_s=1.0, n_answers=2))) as client,
        ThreadPoolExecutor(3) as clients,
    ):
        replies = list(clients.map(lambda _: client.post(data=body), range(3)))
        told = sorted(reply.json()["detail"] for reply in replies)
        assert [reply.status_code for reply in replies] == [503] * 3
        assert told == ["busy with 2 requests, try again later", *["not done within 1 s"] * 2]
        assert [reply.headers.get("Retry-After") for reply in replies].count("2") == 1
        stuck.may.set()
        assert client.post(data=body).status_code == 200


def test_a_model_that_fails_is_told_without_its_traceback(field: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stuck, body = Stuck(), (field / "stereo.wav").read_bytes()
    stuck.may.set()
    stuck.fails = True
    with serving(build_app(stuck, LIMITS)) as client:
        assert_refused(client.post(data=body), 500, "the server failed")
        stuck.fails = False
        assert client.post(data=body).status_code == 200
    assert "no luck" in capsys.readouterr().err


def test_windows_of_all_requests_are_limited() -> None:
    stuck, three_windows = Stuck(), audio(1.5)
    limits = Limits(timeout_s=20.0, n_windows=5)
    with serving(build_app(stuck, limits)) as client, ThreadPoolExecutor(1) as clients:
        first = clients.submit(client.post, data=three_windows)
        while client.get("/health").json()["windows"] == 0:
            pass
        assert_refused(client.post(data=three_windows), 503, "busy with 5 windows, try again later")
        stuck.may.set()
        assert first.result().status_code == 200
        assert client.post(data=three_windows).status_code == 200


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_is_told(client: Client, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("audiostride.serving.service.tempfile.NamedTemporaryFile", full)
    assert_refused(client.post(data=audio()), 507, f"cannot store the file ({os.strerror(number)})")
