"""Which names a server answers to, and which pages of a browser may post to it.

A page of a stranger reaches a server on this machine through the browser of its user: by a name that the stranger lets
point here, or by a form that it sends elsewhere. Both show in the headers that a browser writes by itself.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SAME_SITE = ("same-origin", "none")


def host_name(address: str) -> str:
    """Take the name out of `NAME:PORT`, in lower case and without brackets; empty where there is none.

    >>> host_name("LocalHost:8000"), host_name("[::1]:8000"), host_name("a b")
    ('localhost', '::1', '')
    """
    try:
        parts = urlsplit(f"//{address}")
        return (parts.hostname or "").rstrip(".") if parts.netloc == address and " " not in address else ""
    except ValueError:
        return ""


def _ip(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


@dataclass(frozen=True)
class Hosts:
    """The names that a server answers to: those of this machine, the one it listens on, and others it is told.

    Attributes:
        bound: the name or address that it listens on; every address where it listens on all.
        allowed: further names, as of a proxy in front.
    """

    bound: str = "127.0.0.1"
    allowed: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        """Tell whether the server answers to a name.

        >>> [name in Hosts("0.0.0.0") for name in ("localhost", "192.0.2.1", "evil.example")]
        [True, True, False]
        """
        if name in ("localhost", host_name(self.bound)) or name.endswith(".localhost") or self.allows(name):
            return name != ""
        address, bound = _ip(name), _ip(self.bound)
        return address is not None and (
            address.is_loopback or address == bound or (bound is not None and bound.is_unspecified)
        )

    def allows(self, name: str) -> bool:
        """Tell whether a name is one of `allowed`."""
        return name in {other.lower() for other in self.allowed}

    def problem(self, method: str, headers: Mapping[str, str]) -> str | None:
        """Say why a request is refused, None if it is not.

        Args:
            method: of the request.
            headers: their names in lower case.
        """
        host, origin = headers.get("host", ""), headers.get("origin")
        if host_name(host) not in self:
            return f"the server does not answer to {host!a}; --allow-host adds a name"
        if method in SAFE_METHODS:
            return None
        if origin is not None:
            netloc = urlsplit(origin).netloc if "://" in origin else ""
            trusted = netloc.lower() == host.lower() or self.allows(host_name(netloc))
            return None if trusted else f"posts from pages of {origin!a} are not allowed"
        if headers.get("sec-fetch-site", "none") not in SAME_SITE:
            return "posts from pages of other sites are not allowed"
        return None


LOCAL = Hosts()


class OriginCheck:
    """Refuses requests under strange names, and posts of strange pages, before anything else sees them.

    Args:
        app: what answers the others.
        hosts: the names that are answered to.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 with a reason, or pass the request on."""
        problem = None if scope["type"] != "http" else self.hosts.problem(scope["method"], Headers(scope=scope))
        if problem is None:
            await self.app(scope, receive, send)
        else:
            await JSONResponse({"detail": problem}, 403)(scope, receive, send)
