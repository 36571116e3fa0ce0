"""The recipes that come with the package, which commands find by name."""

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from audiostride.errors import UserError

_PACKAGE = Path(__file__).parents[1]
# beside the package in a checkout, inside it once installed
RECIPES = next(path for path in (_PACKAGE / "recipes", _PACKAGE.parent / "recipes") if path.is_dir()).resolve()


@dataclass(frozen=True)
class ShippedRecipe:
    """A recipe of the package.

    Args:
        name: path below the folder of recipes without its ending, as in `speech_commands/mini`.
        path: the file.
        about: the first sentence of its comment.
        preparing: the commands in its comment that write the manifests it needs.
    """

    name: str
    path: Path
    about: str
    preparing: tuple[str, ...]


def _comment(path: Path) -> list[str]:
    """Give the lines of the comment that a recipe begins with, without that for editors."""
    lines = path.read_text(encoding="utf-8").splitlines()
    n_lines = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return [line.removeprefix("#") for line in lines[:n_lines] if "yaml-language-server" not in line]


def _describe(path: Path) -> ShippedRecipe:
    comment = _comment(path)
    paragraph = " ".join(line.strip() for line in comment[: next(i for i, line in enumerate(comment) if not line)])
    sentence = paragraph.partition(". ")[0].rstrip(".")
    preparing = tuple(line.strip() for line in comment if line.strip().startswith("audiostride prepare "))
    return ShippedRecipe(path.relative_to(RECIPES).with_suffix("").as_posix(), path, sentence, preparing)


def shipped_recipes() -> list[ShippedRecipe]:
    """List the recipes of the package, in the order of their names."""
    return sorted(map(_describe, RECIPES.rglob("*.yaml")), key=lambda recipe: recipe.name)


def find_recipe(path: Path | str) -> Path:
    """Find a recipe: the file at `path`, else the one of this name that comes with the package.

    Raises:
        UserError: neither is there; with the names that are near.

    >>> find_recipe("speech_commands/mini").relative_to(RECIPES).as_posix()
    'speech_commands/mini.yaml'
    """
    path = Path(path)
    shipped = RECIPES / f"{path.as_posix()}.yaml"
    # os.path is false where Path raises: for a name that is too long
    if not os.path.isfile(path) and os.path.isfile(shipped) and not path.is_absolute() and ".." not in path.parts:
        return shipped
    if os.path.exists(path):
        return path
    names = {name: recipe.name for recipe in shipped_recipes() for name in (recipe.name, f"recipes/{recipe.name}.yaml")}
    close = dict.fromkeys(names[name] for name in difflib.get_close_matches(path.as_posix(), names, n=3, cutoff=0.5))
    near = f"near are {', '.join(close)}; " if close else ""
    other = f"no such file, and no recipe of this name comes with the package; {near}audiostride init --list names all"
    raise UserError(f"{path}: {other}")


def check_prepared(path: Path, manifests: Iterable[str]) -> None:
    """Raise UserError with the commands that write the manifests which a recipe of the package needs and lacks.

    Args:
        path: of the recipe; nothing is checked for a recipe of the user.
        manifests: of its tasks.
    """
    missing = [manifest for manifest in manifests if not os.path.isfile(manifest)]
    if not missing or not path.resolve().is_relative_to(RECIPES):
        return
    commands = "\n".join(f"  {command}" for command in _describe(path.resolve()).preparing)
    raise UserError(f"{missing[0]}: no such manifest; write it first:\n{commands}")
