"""The server answers what the model says, to many at a time, and outlives whatever is sent to it."""

import io
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from audiostride.evaluation.traits import Traits
from audiostride.loading import load, load_model
from audiostride.prediction.model import WindowModel
from audiostride.prediction.predictor import Prediction, Predictor
from audiostride.serving.app import PARAMETERS, build_app
from audiostride.serving.service import Limits
from tests.serving.clips import assert_refused, audio
from tests.serving.conftest import LIMITS
from tests.serving.server import Client, serving

SESAME = "open sesame"


@pytest.fixture(scope="module")
def predictor(untrained: Path) -> Predictor:
    return load(untrained, "cpu")


@pytest.fixture(scope="module")
def guarded(model: WindowModel) -> Iterator[Client]:
    with serving(build_app(model, LIMITS, SESAME)) as running:
        yield running


@pytest.fixture
def still_answers(client: Client, field: Path) -> Iterator[None]:
    """After the test the server answers as before."""
    yield
    idle = {"status": "ok", "uploads": 0, "answers": 0, "windows": 0, "token_required": False}
    assert client.get("/health").json() == idle
    assert client.post(data=(field / "stereo.wav").read_bytes()).status_code == 200


def slow(rate: int) -> bytes:
    """A few bytes that last for minutes."""
    file = io.BytesIO()
    sf.write(file, np.zeros(20), rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def without_length(flac: bytes) -> bytes:
    """FLAC as a program writes it that does not come back to its header: the 36 bits of its length are 0."""
    return flac[:21] + bytes([flac[21] & 0xF0, 0, 0, 0, 0]) + flac[26:]


def silence(seconds: int) -> bytes:
    """FLAC of a few kB, whatever it decodes to."""
    file = io.BytesIO()
    with sf.SoundFile(file, "w", 8000, 1, format="FLAC", subtype="PCM_16") as flac:
        for _ in range(seconds // 60):
            flac.write(np.zeros(60 * 8000, np.int16))
    return file.getvalue()


def assert_answer(answer: dict[str, Any], expected: Prediction) -> None:
    assert answer["duration_s"] == pytest.approx(expected.duration_s)
    assert answer["tasks"].keys() == expected.tasks.keys()
    for task, of_task in expected.tasks.items():
        rows = [answer["tasks"][task], *answer["tasks"][task]["windows"]]
        for row, values in zip(rows, [of_task.probabilities, *of_task.window_probabilities], strict=True):
            given = {shown["name"]: shown["probability"] for shown in row["classes"]}
            assert given == pytest.approx(dict(zip(of_task.classes, values, strict=True)), abs=1e-5)
            assert list(given.values()) == sorted(given.values(), reverse=True)
        np.testing.assert_allclose([row["start_s"] for row in rows[1:]], expected.start_s)
        np.testing.assert_allclose([row["end_s"] for row in rows[1:]], expected.end_s)


@pytest.mark.parametrize("name", ["monday/rec.wav", "tuesday/rec.flac", "tuesday/night/long.ogg", "stereo.wav"])
def test_form_and_body_give_what_a_direct_prediction_gives(
    client: Client, predictor: Predictor, field: Path, name: str
) -> None:
    expected = predictor.predict(field / name)
    with (field / name).open("rb") as file:
        assert_answer(client.post(files={"file": file}).json(), expected)
    assert_answer(client.post(data=(field / name).read_bytes()).json(), expected)


def test_top_k_hop_and_spectrogram(client: Client, predictor: Predictor, field: Path) -> None:
    path = field / "monday/rec.wav"
    reply = client.post("/predict?top_k=1&hop_s=0.25&spectrogram=true", data=path.read_bytes()).json()
    expected = predictor.predict(path, hop_s=0.25)
    tone = reply["tasks"]["tone"]
    assert [shown["name"] for shown in tone["classes"]] == [expected.tasks["tone"].best]
    assert {len(window["classes"]) for window in tone["windows"]} == {1}
    np.testing.assert_allclose([window["start_s"] for window in tone["windows"]], expected.start_s)
    assert reply["spectrogram"]["n_columns"] == 230


def test_many_clients_at_a_time(client: Client, predictor: Predictor, field: Path) -> None:
    names = ["monday/rec.wav", "tuesday/rec.wav", "tuesday/rec.flac", "stereo.wav"]
    expected = [predictor.predict(field / name) for name in names]
    bodies = [(field / name).read_bytes() for name in names]
    with ThreadPoolExecutor(50) as clients:
        replies = list(clients.map(lambda i: client.post(data=bodies[i % 4]), range(50), timeout=60))
    for i, reply in enumerate(replies):
        assert reply.status_code == 200, reply.text
        assert_answer(reply.json(), expected[i % 4])


REFUSED: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "oversize": (lambda: bytes(1_000_001), 413, "larger than the 1 MB"),
    "bomb": (lambda: silence(3600), 413, "lasts 3600.0 s, the server takes up to 30 s"),
    "bomb without a length": (lambda: without_length(silence(3600)), 422, "does not say how long"),
    "text": (lambda: b"no audio at all\n" * 100, 415, "not audio that libsndfile can read"),
    "truncated": (lambda: audio()[:-1000], 422, "truncated: the header promises 1000 more bytes"),
    "nan": (lambda: audio(subtype="FLOAT", value=np.nan), 422, "NaN or infinite sample at 0.062 s"),
    "infinite": (lambda: audio(subtype="FLOAT", value=np.inf), 422, "NaN or infinite sample"),
    "cut RF64": (lambda: b"RF64\xff\xff\xff\xffWAVEds64\x1c\x00\x00\x00" + bytes(5), 415, "RF64"),
    "cut FLAC": (lambda: audio(form="FLAC")[:3000], 422, "decoded"),
    "a slow rate": (lambda: slow(1), 422, "1 Hz, the server takes 1000 to 1000000 Hz"),
    "less than a frame": (lambda: audio(10 / 16000), 422, "shorter than a frame of 25 ms"),
    "no samples": (lambda: audio(0), 422, "a header without any samples"),
}


@pytest.mark.parametrize("as_form", [False, True])
@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.usefixtures("still_answers")
def test_what_cannot_be_used_is_refused_with_the_reason(client: Client, kind: str, as_form: bool) -> None:
    make, status, told = REFUSED[kind]
    body = make()
    assert "bomb" not in kind or len(body) < 500_000
    reply = client.post(files={"file": ("clip.wav", body)}) if as_form else client.post(data=body)
    assert_refused(reply, status, told)


def chunked() -> Iterator[bytes]:
    for _ in range(40):
        yield bytes(50_000)


HEADER = {"Content-Type": "multipart/form-data; boundary=x"}


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        ({}, 400, "empty body"),
        ({"data": chunked()}, 413, "larger than"),
        ({"files": {"file": ("empty.wav", b"")}}, 400, "empty file"),
        ({"files": {"clip": ("a.wav", b"x")}}, 400, "expected one file in the form field 'file', got 0"),
        ({"files": [("file", ("a", b"x")), ("file", ("b", b"y"))]}, 400, "got 2"),
        ({"data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "without a boundary"),
        (
            {"data": b"x", "headers": {"Content-Type": f"multipart/form-data; boundary={'x' * 300}"}},
            400,
            "Boundary length",
        ),
        ({"data": b"no form", "headers": HEADER}, 400, "not a multipart form"),
        (
            {"data": b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nabc', "headers": HEADER},
            *(400, "ends before its last boundary"),
        ),
        ({"params": {"hopp": 1}}, 422, "hopp: no such parameter, expected one of top_k, hop_s, spectrogram"),
        ({"params": {"top_k": 0}}, 422, "top_k: "),
        ({"params": {"top_k": 10**6}}, 422, "top_k: "),
        ({"params": {"top_k": "many"}}, 422, "top_k: "),
        ({"params": {"hop_s": 0}}, 422, "hop_s: "),
        ({"params": {"hop_s": "nan"}}, 422, "hop_s: "),
        ({"params": {"hop_s": 1e-9}, "data": audio(3)}, 422, "hop_s=1e-09: expected"),
        ({"params": {"hop_s": 1e-4}, "data": audio(3)}, 422, "more than 20000 windows"),
    ],
)
@pytest.mark.usefixtures("still_answers")
def test_mistakes_in_a_request(client: Client, options: dict[str, Any], status: int, told: str) -> None:
    assert_refused(client.post(**options), status, told)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/none", 404), ("GET", "/predict", 405)])
def test_other_addresses_are_json_too(client: Client, method: str, path: str, status: int) -> None:
    assert_refused(client.ask(method, path), status, "")


def begin_upload(client: Client, n_promised: int, n_sent: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", client.port), timeout=30)
    connection.sendall(f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {n_promised}\r\n\r\n".encode())
    connection.sendall(bytes(n_sent))
    return connection


def test_who_hangs_or_vanishes_blocks_nobody(client: Client, field: Path) -> None:
    hanging = [begin_upload(client, 100_000, 50_000) for _ in range(20)]
    assert client.post(data=(field / "stereo.wav").read_bytes()).status_code == 200
    for connection in hanging:
        connection.close()
    assert client.post(data=(field / "stereo.wav").read_bytes()).status_code == 200


def test_an_upload_that_does_not_end_is_ended(model: WindowModel) -> None:
    with serving(build_app(model, Limits(timeout_s=0.2))) as client, begin_upload(client, 1000, 10) as connection:
        reply = b"".join(iter(lambda: connection.recv(4096), b""))
    assert reply.startswith(b"HTTP/1.1 408")
    assert b"did not come within 0.2 s" in reply


def test_an_answer_that_would_be_too_large(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiostride.serving.answer.MAX_SCORES", 20)
    assert_refused(client.post("/predict?top_k=2", data=audio(3)), 422, "more than 20 probabilities")
    assert client.post("/predict?top_k=1", data=audio(3)).status_code == 200


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_word_before_the_token_may_be_in_any_case(guarded: Client, scheme: str) -> None:
    assert guarded.get("/model", headers={"Authorization": f"{scheme} {SESAME}"}).status_code == 200


def test_the_token_guards_the_model(guarded: Client, field: Path) -> None:
    right = {"Authorization": f"Bearer {SESAME}"}
    assert guarded.get("/model", headers=right).status_code == 200
    assert guarded.post(data=audio(), headers=right).status_code == 200
    for header in ("", "Bearer", "Bearer wrong", "Bearer " + SESAME[:-1], SESAME, "Bearer tök"):
        headers = {"Authorization": header.encode("latin-1")}
        reply = guarded.post(data=audio(), headers=headers)
        assert_refused(reply, 401, "Authorization: Bearer")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert guarded.get("/model", headers=headers).status_code == 401
    for path in ("/", "/docs", "/openapi.json", "/health"):
        assert guarded.get(path).status_code == 200
    assert guarded.get("/health").json()["token_required"]


def test_the_model_is_described(client: Client) -> None:
    assert client.get("/model").json() == {
        "name": "audiostride",
        "sample_rate": 16000,
        "window_s": 1.0,
        "max_mb": 1.0,
        "max_s": 30.0,
        "tasks": {
            "tone": {
                "classes": ["low", "mid", "high"],
                "calibrated": True,
                "kind": "single",
                "background": None,
                "thresholds": {"low": 0.5, "mid": 0.5, "high": 0.5},
            },
            "place": {
                "classes": ["near", "far"],
                "calibrated": False,
                "kind": "single",
                "background": None,
                "thresholds": {"near": 0.5, "far": 0.5},
            },
        },
    }


def test_the_schema_names_the_endpoints(client: Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {(path, *methods) for path, methods in paths.items()} == {
        ("/health", "get"),
        ("/model", "get"),
        ("/predict", "post"),
    }
    assert "multipart/form-data" in paths["/predict"]["post"]["requestBody"]["content"]
    assert tuple(each["name"] for each in paths["/predict"]["post"]["parameters"]) == PARAMETERS


def test_detections_are_those_of_the_thresholds(untrained: Path, field: Path) -> None:
    """A threshold of 0 for one class alone: every window is a detection of it, and the recording one event."""
    model = load_model(untrained, "cpu")
    model.traits = {  # type: ignore[misc]
        "tone": Traits("multilabel", "mid", {"low": 0.0, "high": 1.0}),
        "place": Traits(thresholds={"near": 1.0, "far": 1.0}),
    }
    with serving(build_app(model, LIMITS)) as client:
        about = client.get("/model").json()["tasks"]
        assert about["tone"]["thresholds"] == {"low": 0.0, "high": 1.0}
        assert (about["tone"]["kind"], about["tone"]["background"]) == ("multilabel", "mid")
        tone = client.post(data=(field / "monday/rec.wav").read_bytes()).json()["tasks"]["tone"]
    (event,) = tone["detections"]
    windows = [{each["name"]: each["probability"] for each in window["classes"]} for window in tone["windows"]]
    assert (event["name"], event["start_s"], event["end_s"]) == ("low", 0.0, pytest.approx(2.3))
    assert event["probability"] == max(window["low"] for window in windows)
    assert all(set(window) == {"low", "high"} for window in windows)  # the background is never shown
    with serving(build_app(model, LIMITS, threshold=1.0)) as client:
        tasks = client.post(data=(field / "monday/rec.wav").read_bytes()).json()["tasks"]
        assert [task["detections"] for task in tasks.values()] == [[], []]
