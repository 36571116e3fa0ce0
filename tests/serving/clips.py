"""Recordings to send, and what a refusal looks like."""

import io
from typing import Any

import numpy as np
import requests
import soundfile as sf


def audio(seconds: float = 1.5, form: str = "WAV", subtype: str = "PCM_16", **change: Any) -> bytes:
    file = io.BytesIO()
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, int(seconds * 16000))
    if "value" in change:
        sound[1000] = change["value"]
    sf.write(file, sound, 16000, format=form, subtype=subtype)
    return file.getvalue()


def assert_refused(reply: requests.Response, status: int, told: str) -> None:
    assert reply.status_code == status, reply.text
    content = reply.json()
    assert list(content) == ["detail"]
    assert told in content["detail"]
    assert "\n" not in content["detail"]
