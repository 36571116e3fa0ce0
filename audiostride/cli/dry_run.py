"""`audiostride train --dry-run`: what a training will take, from one real batch."""

from typing import TYPE_CHECKING

from audiostride.cli.console import duration, print_line, progress, say, show, table

if TYPE_CHECKING:
    import torch

    from audiostride.recipe.schema import Recipe


def layer_name(module_name: str) -> str:
    """Name a layer for people, blocks counted from 1.

    >>> layer_name("backbone.blocks.0.time.conv")
    'block 1 time conv'
    """
    parts = module_name.removeprefix("backbone.").split(".")
    if parts[0] == "blocks":
        parts = ["block", str(int(parts[1]) + 1), *parts[2:]]
    return " ".join(parts).replace("heads task_", "head ")


def show_dry_run(recipe: "Recipe", device: "torch.device") -> None:
    """Run one real batch, and show every layer, the memory and the time that a run will take."""
    from audiostride.build import build_model
    from audiostride.models.registry import check_backbone
    from audiostride.training.data import build_training_data
    from audiostride.training.dry_run import inspect_batch, kept_copies
    from audiostride.training.finetune import adopt_settings, load_origin
    from audiostride.training.memory import enough_memory

    if origin := load_origin(recipe):
        recipe = adopt_settings(recipe, origin)
    check_backbone(recipe.model.backbone)
    with progress("decoding") as on_decode:
        data = build_training_data(recipe, on_decode)
    if data.note:
        say(data.note)
    with enough_memory(recipe.training, device):
        model = build_model(recipe, data.classes).to(device)
        model.backbone.requires_grad_(not recipe.training.freeze_trunk)
        cost = inspect_batch(
            model,
            data.batches(0),
            device,
            bf16=recipe.training.precision == "bf16",
            n_parts=recipe.training.accumulate,
            n_copies=kept_copies(recipe.training),
        )
    layers = table("layer", "output", "params", "MACs", "stride", "realised", left=2)
    for layer in cost.layers:
        name = layer_name(layer.name)
        shape = " x ".join(map(str, layer.output_shape))
        strides = ["/".join(f"{value:.2f}" for value in values.values()) for values in (layer.stride, layer.realised)]
        layers.add_row(name, shape, f"{layer.n_parameters:,}", f"{layer.n_macs:,}", *strides)
    n_parameters = sum(layer.n_parameters for layer in cost.layers)
    layers.add_section()
    layers.add_row("all", "", f"{n_parameters:,}", f"{sum(layer.n_macs for layer in cost.layers):,}", "", "")
    show("one example, layer by layer", layers)
    steps, rows = recipe.training.steps, recipe.training.batch_size
    print_line(f"peak memory {cost.peak_memory_bytes / 2**20:,.0f} MiB ({device}, batch of {rows})")
    print_line(
        f"{cost.seconds_per_step:.3f} s per step, about {duration(cost.seconds_per_step * steps)} for {steps:,} steps"
    )
