"""Turn the strided convolutions and poolings of any model into ones whose strides are learned.

A convolution of stride s is one of stride 1 that keeps every s-th sample. So each becomes one of stride 1, followed by
`DiffStride` that begins at s; with the ramp "folded" the maps have the sizes that they had. A convolution of one tap
mixes channels alone: it follows the layer, on the smaller map. A mean over blocks that do not overlap is a low-pass of
its own: the layer takes its place.

Where branches meet, their maps must have one size, wherever the strides move: their layers are one. Which branches
meet is found by trial: the stride of a layer is changed, and the model is called with the example. If that fails, the
layers whose maps have the same size share one, and the model is called again.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from audiostride.layers.diffstride import DiffStride
from audiostride.layers.whole_model import in_evaluation, run_example
from audiostride.vocabulary import FOLDED_SMOOTHNESS, Ramp

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
MAXIMA = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
MEANS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
TRIALS = (1.0, 0.7, 1.5)  # times a stride: where it is moved to see whether the model allows it
MIN_SAMPLES = 4  # along an axis: a stride of fewer has no gradient, and no other size to try


@dataclass
class Replacements:
    """What `replace_strides` did.

    Attributes:
        replaced: names of modules; those in one tuple share one layer.
        left: name of every other module that makes its maps smaller, and why it stays.
        kinds: name of the class of every module that was replaced, by the module's name.
    """

    replaced: list[tuple[str, ...]] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Give one line per layer that was made, then one per module that was left."""
        lines = [
            "replaced " + " and ".join(f"`{name}` ({self.kinds[name]})" for name in names) for names in self.replaced
        ]
        return "\n".join(lines + [f"left `{name}`: {why}" for name, why in self.left.items()])


@dataclass
class _Candidate:
    """A module that makes its maps smaller, and the sizes of its maps in the example."""

    names: list[str]  # more than one where a model holds the module at several places
    module: nn.Module
    n_in: tuple[int, ...]
    n_out: tuple[int, ...]


def _strides(module: nn.Module) -> tuple[int, ...]:
    """Give the stride of every axis of a convolution or pooling, as many as its maps have axes."""
    n_axes = next(
        n for kinds in (CONVOLUTIONS, MAXIMA, MEANS) for n, kind in enumerate(kinds, 1) if isinstance(module, kind)
    )
    stride: Any = module.stride
    return (stride,) * n_axes if isinstance(stride, int) else tuple(stride) * (n_axes // len(stride))


def _why_left(found: _Candidate, strides: Collection[int]) -> str | None:
    """Say why a module cannot be replaced; None if it can."""
    module = found.module
    if not isinstance(module, CONVOLUTIONS + MAXIMA + MEANS):
        return f"{type(module).__name__} is no convolution or pooling with a stride"
    own = [stride for stride in _strides(module) if stride > 1]
    if not own:
        return "it has no stride: its maps shrink at their edges"
    if any(stride not in strides for stride in own):
        return f"stride {max(own)}, asked for {', '.join(map(str, strides))}"
    n_fewest = min(n for n, stride in zip(found.n_in, _strides(module), strict=True) if stride > 1)
    if n_fewest < MIN_SAMPLES:
        return f"its maps have {n_fewest} samples, a stride is learned from {MIN_SAMPLES} on"
    if getattr(module, "return_indices", False):
        return "it gives indices too"
    return None


def _find(model: nn.Module, example_input: Any) -> list[_Candidate]:
    """Find the modules without parts whose maps are smaller than their input, in the order of the forward pass."""
    found: dict[nn.Module, _Candidate] = {}
    names: dict[nn.Module, list[str]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if not list(module.children()) and not isinstance(module, nn.Linear):
            names.setdefault(module, []).append(name)

    def note(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if args and isinstance(args[0], Tensor) and isinstance(output, Tensor) and args[0].ndim == output.ndim > 2:
            n_in, n_out = tuple(args[0].shape[2:]), tuple(output.shape[2:])
            pairs = list(zip(n_in, n_out, strict=True))
            is_smaller = isinstance(module, CONVOLUTIONS) or output.numel() < args[0].numel()  # no permuted axes
            if is_smaller and any(out < n for n, out in pairs) and all(out <= n for n, out in pairs):
                found.setdefault(module, _Candidate(names[module], module, n_in, n_out))

    hooks = [module.register_forward_hook(note) for module in names]
    try:
        run_example(model, example_input)
    finally:
        for hook in hooks:
            hook.remove()
    return list(found.values())


def _downsampled(module: nn.Module, layer: DiffStride) -> nn.Module:
    """Give what takes the place of a module; the module itself loses its stride."""
    n_axes = len(_strides(module))
    any_module: Any = module
    if isinstance(module, MEANS):
        kernel = (module.kernel_size,) * n_axes if isinstance(module.kernel_size, int) else tuple(module.kernel_size)
        if kernel == _strides(module) and module.padding in (0, (0,), (0, 0), (0, 0, 0)):
            return layer
    any_module.stride = (1,) * n_axes
    if isinstance(module, CONVOLUTIONS) and set(module.kernel_size) == {1} and not any(any_module.padding):
        return nn.Sequential(layer, module)
    return nn.Sequential(module, layer)


def _set(model: nn.Module, candidate: _Candidate, module: nn.Module) -> None:
    for name in candidate.names:
        model.set_submodule(name, module)


@dataclass
class _Group:
    """Modules that share one layer."""

    members: list[_Candidate]
    layer: DiffStride
    strides: list[Any] = field(default_factory=list)

    def put(self, model: nn.Module) -> None:
        """Replace the members."""
        self.strides = [member.module.stride for member in self.members]
        for member in self.members:
            _set(model, member, _downsampled(member.module, self.layer))

    def take_back(self, model: nn.Module) -> None:
        """Put the members where they were."""
        for member, stride in zip(self.members, self.strides, strict=True):
            any_module: Any = member.module
            any_module.stride = stride
            _set(model, member, member.module)


def _why_it_fails(model: nn.Module, group: _Group, example_input: Any) -> str | None:
    """Call the model with strides where they begin, and moved; say what goes wrong, None if nothing does."""
    begin = group.layer.strides.detach().clone()
    try:
        for factor in TRIALS:
            group.layer.strides.copy_(begin * factor)
            run_example(model, example_input)
    except (RuntimeError, ValueError, AssertionError, IndexError, AttributeError) as error:
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    finally:
        group.layer.strides.copy_(begin)
    return None


def _by_transition(candidates: list[_Candidate]) -> Iterator[list[_Candidate]]:
    """Put together what gives maps of the same sizes with the same strides."""
    groups: dict[Any, list[_Candidate]] = {}
    for found in candidates:
        groups.setdefault((found.n_out, _strides(found.module)), []).append(found)
    yield from groups.values()


def replace_strides(
    model: nn.Module,
    example_input: Any,
    *,
    strides: int | Collection[int] = (2,),
    ramp: Ramp = "folded",
    smoothness: float = FOLDED_SMOOTHNESS,
    learnable: bool = True,
    learn_smoothness: bool = False,
) -> Replacements:
    """Replace the strided convolutions and poolings of a model, in place, by ones that `DiffStride` downsamples.

    Weights stay as they are. The names of parameters in what is replaced gain a part: so load pretrained weights first.

    Args:
        model: any module; convolutions and poolings that are called as functions are not seen.
        example_input: a tensor or a tuple of arguments, of the sizes that the model is meant for.
        strides: which strides are replaced, one number or several; a convolution of stride 1 costs the square of the
            stride more.
        ramp: of the layers. Only "folded" keeps the sizes of all maps at first.
        smoothness: width of the ramps in Fourier bins, 16 by default whatever the ramp.
        learnable: False keeps the strides where they are.
        learn_smoothness: whether the width of every ramp is learned too.

    Returns:
        What was replaced, and what was left and why.

    Reference:
        Riad et al., "Learning strides in convolutional neural networks", ICLR 2022, has one layer for both branches of
        a residual block.

    >>> import torch
    >>> model = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    >>> print(replace_strides(model, torch.zeros(1, 1, 32, 32)))
    replaced `0` (Conv2d)
    left `2`: AdaptiveAvgPool2d is no convolution or pooling with a stride
    """
    wanted = (strides,) if isinstance(strides, int) else tuple(strides)
    result = Replacements()
    with in_evaluation(model):
        candidates = []
        for found in _find(model, example_input):
            why = "the model is this module alone" if found.module is model else _why_left(found, wanted)
            if why is None:
                candidates.append(found)
            else:
                result.left[found.names[0]] = why

        def group_of(members: list[_Candidate]) -> _Group:
            own = _strides(members[0].module)
            axes = [i - len(own) for i, stride in enumerate(own) if stride > 1]
            values = [float(stride) for stride in own if stride > 1]
            layer = DiffStride(values, axes, smoothness, ramp, learnable=learnable, learn_smoothness=learn_smoothness)
            first = next(model.parameters(), None)
            return _Group(members, layer if first is None else layer.to(first.device, first.dtype))

        def tried(members: list[_Candidate]) -> str | None:
            group = group_of(members)
            group.put(model)
            why = _why_it_fails(model, group, example_input)
            if why is None:
                kinds = {name: type(member.module).__name__ for member in members for name in member.names}
                result.replaced.append(tuple(kinds))
                result.kinds |= kinds
            else:
                group.take_back(model)
            return why

        for together in _by_transition(candidates):
            alone = [tried([found]) for found in together]
            rest = [found for found, why in zip(together, alone, strict=True) if why is not None]
            why = tried(rest) if len(rest) > 1 else next(filter(None, alone), None)
            if why is not None:
                result.left |= {
                    found.names[0]: f"maps of another size do not fit what follows ({why})" for found in rest
                }
    return result
