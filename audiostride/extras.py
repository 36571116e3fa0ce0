"""How to install what the package can do without."""

import re
import shlex
from importlib import metadata

DISTRIBUTIONS = ("audiostride", "audiostride-runtime")  # which both hold this package


def installed_distribution() -> str:
    """Name the distribution that is installed, the whole one first."""
    for name in DISTRIBUTIONS:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return name
    return DISTRIBUTIONS[0]


def installed_version() -> str:
    """Give the version of the installed distribution."""
    return metadata.version(installed_distribution())


def package_name(requirement: str) -> str:
    """Give the name of the package that a requirement names.

    >>> package_name("mkdocstrings[python]>=0.29")
    'mkdocstrings'
    """
    found = re.match(r"[\w.-]+", requirement)
    return found[0] if found else requirement


def _requires() -> list[tuple[str, str | None]]:
    """Give every requirement of the installed distribution, with the extra that it is of."""
    try:
        texts = metadata.requires(installed_distribution()) or []
    except metadata.PackageNotFoundError:
        return []
    parts = (text.partition(";") for text in texts)
    marks = ((text.strip(), re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)) for text, _, marker in parts)
    return [(text, mark and mark[1]) for text, mark in marks]


def extra_requirements() -> dict[str, list[str]]:
    """Give the requirements of every extra of the installed distribution, in their order."""
    extras: dict[str, list[str]] = {}
    for text, extra in _requires():
        if extra is not None:
            extras.setdefault(extra, []).append(text)
    return extras


def requirement_command(*packages: str) -> str:
    """Give a command that installs packages in versions that fit."""
    known: dict[str, str] = {}
    for text, _ in _requires():
        known.setdefault(package_name(text), text)
    return f"pip install {shlex.join(known.get(package, package) for package in packages)}"


def install_command(extra: str) -> str:
    """Give a command that installs an extra: its packages by name, which works from a checkout and from a wheel.

    Args:
        extra: of the installed distribution; one that this does not know is named as an extra of it.
    """
    packages = extra_requirements().get(extra) or [f"{installed_distribution()}[{extra}]"]
    return f"pip install {shlex.join(packages)}"
