"""The page in a browser: a clip in, classes and a spectrogram out, nothing from elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from audiostride.loading import load_model
from audiostride.serving.app import build_app
from audiostride.serving.service import Limits
from tests.browser import Browser
from tests.serving.server import Client, serving

IS_SHOWN = "!document.getElementById('result').hidden && !!document.querySelector('#tasks canvas')"
TEXT = "document.getElementById('tasks').innerText"
N_COLOURS = """(() => {
  const canvas = document.getElementById("spectrogram");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size;
})()"""
IS_DESCRIBED = "document.getElementById('known').innerText.includes('tone: 3 classes')"
OVERFLOW = "document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(untrained: Path) -> Iterator[Client]:
    with serving(build_app(load_model(untrained, "cpu"), Limits(), name="three tones")) as running:
        yield running


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_a_clip_is_shown(browser: Browser, client: Client, field: Path, width: int, height: int) -> None:
    browser.open(client.url, width, height)
    browser.wait_for(IS_DESCRIBED)
    browser.set_file("#file", field / "tuesday/rec.flac")
    browser.wait_for(IS_SHOWN)
    text = browser.evaluate(TEXT)
    assert all(name in text for name in ("tone", "low", "mid", "high", "place", "near", "far"))
    assert browser.evaluate(N_COLOURS) > 50
    assert browser.evaluate(OVERFLOW) <= 0
    assert browser.console == []
    assert all(address.startswith((client.url, "data:", "blob:" + client.url)) for address in browser.requests)


def test_the_first_screen_names_the_model_its_classes_and_thresholds(browser: Browser, client: Client) -> None:
    browser.open(client.url, 390, 844)
    browser.wait_for(IS_DESCRIBED)
    text = browser.evaluate("document.body.innerText")
    assert all(
        part in text for part in ("three tones", "low", "mid", "high", "near", "far", "50.0\u00a0%", "curl -F file=")
    )
    assert browser.evaluate("document.title") == "three tones"
    assert browser.evaluate(OVERFLOW) <= 0
    assert browser.console == []


def test_what_is_no_audio_is_told(browser: Browser, client: Client, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    browser.open(client.url)
    browser.set_file("#file", tmp_path / "text.wav")
    browser.wait_for("document.getElementById('status').innerText.includes('text.wav: not audio')")
    assert browser.evaluate("document.getElementById('result').hidden")


def test_the_microphone_is_recorded(browser: Browser, client: Client) -> None:
    browser.open(client.url)
    browser.evaluate("document.getElementById('record').click()")
    browser.wait_for("/Recording: (0.[5-9]|[1-9])/.test(document.getElementById('status').innerText)")
    browser.evaluate("document.getElementById('record').click()")
    browser.wait_for(IS_SHOWN)
    assert "recording.wav: " in browser.evaluate("document.getElementById('status').innerText")
    assert browser.console == []


def test_a_token_is_asked_for_and_sent(browser: Browser, untrained: Path, field: Path) -> None:
    with serving(build_app(load_model(untrained, "cpu"), Limits(), "sesame")) as client:
        browser.open(client.url)
        browser.wait_for("!document.getElementById('token-line').hidden")
        browser.set_file("#file", field / "stereo.wav")
        browser.wait_for("document.getElementById('status').innerText.includes('Bearer')")
        browser.evaluate("document.getElementById('token').value = 'sesame'")
        browser.set_file("#file", field / "stereo.wav")
        browser.wait_for(IS_SHOWN)
        browser.open("about:blank#")  # lets go of the server, which then ends at once


def test_the_endpoints_are_listed(browser: Browser, client: Client) -> None:
    browser.open(client.url + "/docs", 390, 844)
    browser.wait_for("document.getElementById('list').innerText.includes('POST /predict')")
    assert "top_k" in browser.evaluate("document.getElementById('list').innerText")
    assert browser.evaluate(OVERFLOW) <= 0
    assert browser.console == []
    assert all(address.startswith((client.url, "data:")) for address in browser.requests)
