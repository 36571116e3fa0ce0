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


def extra_requirements(requirements: list[str], extra: str) -> list[str]:
    """Give the packages of an extra, of all that a distribution says it requires.

    >>> extra_requirements(["numpy", "onnx>=1.17; extra == 'onnx'", 'x; extra == "dev"'], "onnx")
    ['onnx>=1.17']
    """
    marked = re.compile(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]")
    return [text.partition(";")[0].strip() for text in requirements if marked.search(text)]


def _requires() -> list[str]:
    try:
        return metadata.requires(installed_distribution()) or []
    except metadata.PackageNotFoundError:
        return []


def requirement_command(package: str) -> str:
    """Give a command that installs a package in a version that fits."""
    texts = (text.partition(";")[0].strip() for text in _requires())
    found = next((text for text in texts if re.match(rf"{re.escape(package)}(?![\w.-])", text)), package)
    return f"pip install {shlex.quote(found)}"


def install_command(extra: str) -> str:
    """Give a command that installs an extra: its packages by name, which works from a checkout and from a wheel.

    Args:
        extra: of the installed distribution; one that this does not know is named as an extra of it.
    """
    packages = extra_requirements(_requires(), extra) or [f"{installed_distribution()}[{extra}]"]
    return f"pip install {shlex.join(packages)}"
