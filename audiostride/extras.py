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


def extra_requirements(requirements: list[str], extra: str) -> list[str]:
    """Give the packages of an extra, of all that a distribution says it requires.

    >>> extra_requirements(["numpy", "onnx>=1.17; extra == 'onnx'", 'x; extra == "dev"'], "onnx")
    ['onnx>=1.17']
    """
    marked = re.compile(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]")
    return [text.partition(";")[0].strip() for text in requirements if marked.search(text)]


def install_command(extra: str) -> str:
    """Give a command that installs an extra: its packages by name, which works from a checkout and from a wheel.

    Args:
        extra: of the installed distribution; one that this does not know is named as an extra of it.
    """
    distribution = installed_distribution()
    try:
        packages = extra_requirements(metadata.requires(distribution) or [], extra)
    except metadata.PackageNotFoundError:
        packages = []
    return f"pip install {shlex.join(packages or [f'{distribution}[{extra}]'])}"
