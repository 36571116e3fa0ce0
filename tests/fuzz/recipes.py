"""Recipes: damaged in their text, their values, what they extend and what `--set` puts on top."""

from pathlib import Path
from random import Random

import yaml

from audiostride.errors import UserError
from audiostride.recipe.reader import load_recipe
from audiostride.recipe.schema import Recipe
from tests.fuzz.materials import Materials
from tests.fuzz.mutation import as_json, hostile_text, hostile_value, mutate_bytes, mutate_text, mutate_tree
from tests.fuzz.outcome import Failed, call

DRY_RUN_SHARE = 0.3  # of the recipes that are accepted
SECTIONS = ("data", "frontend", "model", "augmentation", "training", "tasks", "tasks.tone")


def _content(rng: Random, text: str) -> bytes:
    match rng.choice(("text", "tree", "tree", "bytes")):
        case "text":
            return mutate_text(rng, text).encode(errors="surrogatepass")
        case "tree":
            tree = mutate_tree(rng, yaml.safe_load(text))
            dumped = rng.random() < 0.5
            return (as_json(tree) if dumped else yaml.safe_dump(tree, allow_unicode=True)).encode(
                errors="surrogatepass"
            )
        case _:
            return mutate_bytes(rng, text.encode())


def _override(rng: Random) -> str:
    section = rng.choice((*SECTIONS, hostile_text(rng)))
    model = {name: field.annotation for name, field in Recipe.model_fields.items()}.get(section)
    keys = list(getattr(model, "model_fields", {"label": None}))
    return f"{section}.{rng.choice((*keys, hostile_text(rng)))}={as_json(hostile_value(rng))}"


def _is_small(recipe: Recipe) -> bool:
    """Tell whether a batch of it takes no more than a moment."""
    frontend = recipe.frontend
    return (
        recipe.data.window_s * frontend.sample_rate <= 64_000
        and recipe.data.n_workers <= 4
        and recipe.data.device == "cpu"
        and recipe.training.batch_size <= 16
        and recipe.model.width <= 0.25
        and frontend.n_fft <= 4096
        and frontend.n_mels <= 128
        and frontend.hop_length >= 40
        and not recipe.training.compile
    )


def attempt(rng: Random, materials: Materials, folder: Path) -> None:
    """Read a damaged recipe; if it is accepted, try a batch of it."""
    names = str(materials.folder).encode(), b"FOLDER"  # whose length is no part of the attempt
    text = materials.recipe.read_bytes().replace(*names).decode()
    path = folder / "recipe.yaml"
    path.write_bytes(_content(rng, text).replace(*names[::-1]))
    overrides = [_override(rng) for _ in range(rng.choice((0, 0, 1, 2)))]
    if rng.random() < 0.2:
        upper = folder / "upper.yaml"
        upper.write_bytes(_content(rng, f"extends: {rng.choice(('recipe.yaml', 'upper.yaml', '.'))}\nseed: 3\n"))
        path = upper
    try:
        recipe = load_recipe(path, overrides)
    except UserError as error:
        if not str(error).strip():
            raise Failed("refused without a word") from error
    else:
        if not _is_small(recipe) or rng.random() > DRY_RUN_SHARE:
            return
    options = [argument for setting in overrides for argument in ("--set", setting)]
    if not any("\0" in option for option in options):
        call("train", path, *options, "--dry-run").check()
