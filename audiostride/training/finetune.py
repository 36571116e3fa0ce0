"""Begin from another run: its front end and trunk, and its heads where task and classes are the same."""

from audiostride.build import Classes
from audiostride.errors import UserError
from audiostride.models.classifier import AudioClassifier
from audiostride.recipe.schema import Recipe
from audiostride.recipe.section import Section
from audiostride.runs.checkpoint import Checkpoint, load_run

MAY_DIFFER = {"dropout"}


def _conflicts(name: str, wanted: Section, given: Section, source: object) -> list[str]:
    stated = sorted(wanted.model_fields_set - MAY_DIFFER)
    return [
        f"{name}.{key}: {getattr(wanted, key)} in the recipe, {getattr(given, key)} in {source}"
        for key in stated
        if getattr(wanted, key) != getattr(given, key)
    ]


def load_origin(recipe: Recipe) -> Checkpoint | None:
    """Give the best checkpoint of the run that a recipe begins from, None if it begins anew.

    Raises:
        UserError: no such run, or no checkpoint in it.
    """
    if recipe.init_from is None:
        return None
    try:
        return load_run(recipe.init_from)
    except UserError as error:
        raise UserError(f"init_from: {error}") from error


def adopt_settings(recipe: Recipe, source: Checkpoint) -> Recipe:
    """Give the recipe with the front end and the model of a checkpoint.

    Raises:
        UserError: the recipe states a setting of either that the checkpoint has another value for (all are named).
    """
    given = source.recipe
    conflicts = [
        *_conflicts("frontend", recipe.frontend, given.frontend, source.path),
        *_conflicts("model", recipe.model, given.model, source.path),
    ]
    if conflicts:
        raise UserError("init_from: a trunk keeps its settings; leave these out:\n  " + "\n  ".join(conflicts))
    model = given.model.model_copy(update={key: getattr(recipe.model, key) for key in MAY_DIFFER})
    return recipe.model_copy(update={"frontend": given.frontend, "model": model})


def adopt_weights(model: AudioClassifier, recipe: Recipe, classes: Classes, source: Checkpoint) -> list[str]:
    """Give a model of the same settings the trunk of a checkpoint; the tasks whose heads it got as well."""
    model.backbone.load_state_dict(source.model.backbone.state_dict())
    tasks = [
        task
        for task in model.tasks
        if source.classes.get(task) == classes[task] and source.traits[task].kind == recipe.tasks[task].kind
    ]
    for task in tasks:
        model.head(task).load_state_dict(source.model.head(task).state_dict())
    return tasks
