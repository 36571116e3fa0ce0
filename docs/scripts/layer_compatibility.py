"""Try what people do with layers of PyTorch, each on the spot, and print what works.

    python docs/scripts/layer_compatibility.py [--models]

With `--models` the second table follows: `replace_strides` on networks of torchvision and timm, which must be
installed, with random weights; a forward pass and a training step of each. What a package is missing for is told as
such.
"""

import argparse
import copy
import pickle
import tempfile
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from audiostride.layers import DiffStride, SpectralPooling, freeze_strides_, replace_strides, stride_parameters

X = torch.linspace(-1, 1, 2 * 3 * 16 * 20).view(2, 3, 16, 20).sin()
LAYERS: dict[str, Callable[[], Any]] = {
    "DiffStride, learned": lambda: DiffStride([2.3, 1.7], ramp="folded", learn_smoothness=True),
    "DiffStride, fixed": lambda: DiffStride([2.3, 1.7], ramp="folded", learnable=False),
    "SpectralPooling": lambda: SpectralPooling([2.3, 1.7]),
    "freeze()": lambda: DiffStride([2.3, 1.7], ramp="folded").freeze([16, 20]),
}


def same(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Check that two results are equal up to rounding."""
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def require(holds: bool) -> None:
    """Check that something is so."""
    if not holds:
        raise ValueError("another result")


def loss_of(layer: nn.Module) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    return lambda parameters, x: torch.func.functional_call(layer, parameters, (x,)).square().sum()


def parameters_of(layer: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in layer.named_parameters()}


def compile_whole(layer: nn.Module) -> None:
    torch.compiler.reset()
    same(torch.compile(layer, fullgraph=True, backend="aot_eager")(X), layer(X))


def compile_by_inductor(layer: nn.Module) -> None:
    torch.compiler.reset()
    same(torch.compile(layer)(X), layer(X))


def export(layer: nn.Module) -> None:
    same(torch.export.export(layer, (X,)).module()(X), layer(X))


def onnx(layer: nn.Module) -> None:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layer.onnx"
        torch.onnx.export(layer, (X,), path, dynamo=True, verbose=False, external_data=False)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {session.get_inputs()[0].name: X.numpy()})
    same(torch.from_numpy(found), layer(X).detach())


def executorch(layer: nn.Module) -> None:
    from executorch.exir import to_edge
    from executorch.runtime import Runtime

    program = to_edge(torch.export.export(layer, (X,))).to_executorch()
    (found,) = Runtime.get().load_program(program.buffer).load_method("forward").execute((X,))
    same(found, layer(X).detach())


def litert(layer: nn.Module) -> None:
    import litert_torch

    same(torch.from_numpy(litert_torch.convert(layer.eval(), (X,))(X)), layer(X).detach())


def meta(layer: nn.Module) -> None:
    require(copy.deepcopy(layer).to("meta")(X.to("meta")).shape == layer(X).shape)


def fake(layer: nn.Module) -> None:
    expected = layer(X).shape
    with FakeTensorMode() as mode:
        state = {name: mode.from_tensor(value) for name, value in layer.state_dict(keep_vars=True).items()}
        require(torch.func.functional_call(layer, state, (mode.from_tensor(X),)).shape == expected)


def vmap(layer: nn.Module) -> None:
    same(torch.func.vmap(layer)(X), layer(X))


def grad(layer: nn.Module) -> None:
    leaf = X.clone().requires_grad_()
    layer(leaf).square().sum().backward()
    of_parameters, of_x = torch.func.grad(loss_of(layer), argnums=(0, 1))(parameters_of(layer), X)
    same(of_x, leaf.grad)
    for name, value in layer.named_parameters():
        same(of_parameters[name], value.grad)


def gradients_per_example(layer: nn.Module) -> None:
    arguments = parameters_of(layer), X
    found = torch.func.vmap(torch.func.grad(loss_of(layer), argnums=(0, 1)), in_dims=(None, 0))(*arguments)
    for i, example in enumerate(X):
        of_parameters, of_x = torch.func.grad(loss_of(layer), argnums=(0, 1))(arguments[0], example)
        same(found[1][i], of_x)
        for name, value in of_parameters.items():
            same(found[0][name][i], value)


def jvp(layer: nn.Module) -> None:
    parameters = parameters_of(layer)
    along = {name: torch.ones_like(value) for name, value in parameters.items()}
    call = lambda parameters, x: torch.func.functional_call(layer, parameters, (x,)).square().sum()  # noqa: E731
    _, moved = torch.func.jvp(call, (parameters, X), (along, X.cos()))
    of_parameters, of_x = torch.func.grad(call, argnums=(0, 1))(parameters, X)
    same(moved, sum((value.sum() for value in of_parameters.values()), (of_x * X.cos()).sum()), 1e-3)


def channels_last(layer: nn.Module) -> None:
    same(layer(X.to(memory_format=torch.channels_last)), layer(X))


def bfloat16(layer: nn.Module) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(X)
    require(found.dtype == torch.bfloat16)
    same(found.float(), layer(X), 3e-2)


def copies(layer: nn.Module) -> None:
    same(copy.deepcopy(layer)(X), layer(X))
    same(pickle.loads(pickle.dumps(layer))(X), layer(X))  # noqa: S301


def older_state(layer: nn.Module) -> None:
    state = {"strides": torch.tensor([1.5, 2.5]), "log_smoothness": torch.tensor([1.0, 1.0])}
    known = {name: value for name, value in state.items() if name in layer.state_dict()}
    layer.load_state_dict(known or layer.state_dict())
    layer(X)


def _train_in_parallel(rank: int, port: int, way: str, name: str) -> None:
    import torch.distributed as dist
    from torch.distributed.fsdp import fully_shard
    from torch.nn.parallel import DistributedDataParallel

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    whole = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), LAYERS[name](), nn.Conv2d(4, 2, 1))
    model: Any = copy.deepcopy(whole)
    if way == "DDP":
        model = DistributedDataParallel(model)
    else:
        fully_shard(model, mesh=dist.init_device_mesh("cpu", (2,)))
    optimizers = [torch.optim.Adam(one.parameters(), 0.05) for one in (whole, model)]
    for _ in range(3):
        for one, optimizer, x in zip((whole, model), optimizers, (X, X[rank : rank + 1]), strict=True):
            optimizer.zero_grad()
            one(x).square().mean().backward()
            optimizer.step()
    for mine, other in zip(whole.parameters(), model.parameters(), strict=True):
        found = other.full_tensor() if hasattr(other, "full_tensor") else other
        same(found.detach(), mine.detach(), 1e-4)
    dist.destroy_process_group()


def _in_parallel(way: str) -> Callable[[nn.Module], None]:
    def attempt(layer: nn.Module) -> None:
        import socket

        import torch.multiprocessing

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        name = next(name for name, make in LAYERS.items() if repr(make()) == repr(layer))
        torch.multiprocessing.start_processes(_train_in_parallel, (port, way, name), 2, start_method="fork")

    return attempt


ATTEMPTS: dict[str, Callable[[Any], None]] = {
    "DDP, 2 processes": _in_parallel("DDP"),
    "FSDP, 2 processes": _in_parallel("FSDP"),
    "torch.compile, one graph": compile_whole,
    "torch.compile, inductor": compile_by_inductor,
    "torch.export": export,
    "ONNX by torch.onnx": onnx,
    "ExecuTorch": executorch,
    "LiteRT": litert,
    "meta device": meta,
    "FakeTensor": fake,
    "func.vmap": vmap,
    "func.grad": grad,
    "vmap of grad": gradients_per_example,
    "func.jvp": jvp,
    "channels last": channels_last,
    "autocast to bfloat16": bfloat16,
    "deepcopy, pickle": copies,
    "older state_dict": older_state,
}


def outcome(attempt: Callable[[Any], None], make: Callable[[], Any]) -> str:
    """Say what comes of an attempt, in a cell of the table."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attempt(make())
    except ModuleNotFoundError as error:
        return f"not tried: no {error.name}"
    except Exception as error:  # whatever it is, it is what the table tells
        lines = [line for line in str(error).strip().splitlines() if line.strip()] or [""]
        said = next((line for line in lines if "freeze()" in line), lines[0])
        said = said.rpartition(" error: ")[2].strip()  # without the line of the file that a converter was at
        return f"no: {type(error).__name__}, {textwrap.shorten(said, 80, placeholder=' ...')}".replace("|", "/")
    return "yes"


def vision_models() -> dict[str, tuple[Callable[[], nn.Module], int]]:
    """Give how to make each network, and the side of its images."""
    import timm
    import torchvision.models as tv

    return {
        "torchvision resnet18": (tv.resnet18, 128),
        "torchvision mobilenet_v3_small": (tv.mobilenet_v3_small, 128),
        "torchvision convnext_tiny": (tv.convnext_tiny, 128),
        "timm resnet26d": (lambda: timm.create_model("resnet26d"), 128),
        "timm efficientnet_b0": (lambda: timm.create_model("efficientnet_b0"), 128),
        "timm regnetx_002": (lambda: timm.create_model("regnetx_002"), 128),
    }


def replaced_row(name: str, make: Callable[[], nn.Module], side: int) -> str:
    """Replace, run forward, train a step, freeze and run again: a row of the second table, and the lists below it."""
    torch.manual_seed(0)
    model, x = make(), torch.randn(2, 3, side, side)
    n_parameters = sum(value.numel() for value in model.parameters())
    shape = model(x).shape
    done = replace_strides(model, x)
    groups = stride_parameters(model, 0.05)
    strides = groups[0]["params"] if groups else []
    known = {id(value) for value in strides}
    rest = [value for value in model.parameters() if id(value) not in known]
    require(sum(value.numel() for value in rest) == n_parameters)
    require(model(x).shape == shape)
    optimizer = torch.optim.SGD([*groups, {"params": rest}], lr=0.01)
    nn.functional.cross_entropy(model(x), torch.tensor([1, 2])).backward()
    optimizer.step()
    learning = sum(stride.grad is not None and bool(stride.grad.ne(0).all()) for stride in strides)
    model.eval()
    expected = model(x).detach()
    freeze_strides_(model, x)
    difference = (model(x) - expected).abs().max().item()
    print(
        f"| {name} | {len(done.replaced)} | {len(done.left)} | {learning} of {len(strides)} | {difference:.0e} |",
        flush=True,
    )
    return f"### {name}\n\n```\n{done}\n```\n"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", action="store_true")
    options = parser.parse_args()
    print(f"torch {torch.__version__}\n\n| | {' | '.join(LAYERS)} |\n|---|{'---|' * len(LAYERS)}", flush=True)
    for name, attempt in ATTEMPTS.items():
        print(f"| {name} | {' | '.join(outcome(attempt, make) for make in LAYERS.values())} |", flush=True)
    if options.models:
        print(
            "\n| network | layers made | modules left | with a gradient | frozen, difference |\n|---|---|---|---|---|"
        )
        details = [replaced_row(name, *model) for name, model in vision_models().items()]
        print("\n" + "\n".join(details))


if __name__ == "__main__":
    main()
