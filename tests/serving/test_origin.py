"""Names that the server does not answer to, and posts of strange pages, are refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from audiostride.loading import load_model
from audiostride.serving.app import build_app
from audiostride.serving.origin import Hosts
from audiostride.serving.service import Limits
from tests.serving.server import Client, serving

PROXY = "audio.example.org"


@pytest.fixture(scope="module")
def client(untrained: Path) -> Iterator[Client]:
    with serving(build_app(load_model(untrained, "cpu"), Limits(), hosts=Hosts(allowed=(PROXY,)))) as running:
        yield running


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "[::1]:8000", "a.localhost", PROXY])
def test_names_of_this_machine_and_allowed_ones_are_answered(client: Client, host: str) -> None:
    assert client.get("/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.0.2.1:80", "127.0.0.1@evil", "[", ""])
def test_other_names_are_refused(client: Client, host: str) -> None:
    reply = client.get("/model", headers={"Host": host})
    assert reply.status_code == 403
    assert "--allow-host" in reply.json()["detail"]


@pytest.mark.parametrize(
    ("bound", "name", "is_answered"),
    [
        ("0.0.0.0", "192.0.2.1", True),  # noqa: S104
        ("::", "2001:db8::1", True),
        ("0.0.0.0", "evil.example", False),  # noqa: S104
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("Box.lan", "box.lan", True),
    ],
)
def test_the_bound_name_is_answered(*, bound: str, name: str, is_answered: bool) -> None:
    assert (name in Hosts(bound)) == is_answered


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_posts_of_pages_of_other_sites_are_refused(client: Client, field: Path, headers: dict[str, str]) -> None:
    reply = client.post(data=(field / "stereo.wav").read_bytes(), headers=headers)
    assert reply.status_code == 403
    assert "not allowed" in reply.json()["detail"]


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_posts_of_its_own_page_are_answered(client: Client, field: Path, site: str) -> None:
    headers = {"Origin": client.url, "Sec-Fetch-Site": site}
    assert client.post(data=(field / "stereo.wav").read_bytes(), headers=headers).status_code == 200


def test_posts_of_a_page_under_an_allowed_name_are_answered(client: Client, field: Path) -> None:
    headers = {"Origin": f"https://{PROXY}", "Sec-Fetch-Site": "same-origin"}
    assert client.post(data=(field / "stereo.wav").read_bytes(), headers=headers).status_code == 200
