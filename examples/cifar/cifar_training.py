"""ResNet-18 of the package on images, by the protocol of the paper."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from cifar_images import Images
from torch import Tensor, nn

from audiostride.models.downsampler import project_strides_
from audiostride.models.resnet import resnet18
from audiostride.models.stride_settings import StrideSettings
from audiostride.training.optimizer import make_optimizer
from audiostride.vocabulary import Downsampling, Ramp


@dataclass(frozen=True)
class Protocol:
    """How long and how fast to train. The defaults are the paper's, for CIFAR.

    Attributes:
        decay_epochs: after which the learning rate falls to a tenth.
        padding: pixels of black around an image, of which a crop of its size is learned.
        flip: whether half of the images are mirrored.
        width: multiplies the channels of the network.
        ramp: of DiffStride; the paper's is "outside".
        smoothness: width of the ramp in Fourier bins.
    """

    epochs: int = 400
    decay_epochs: tuple[int, ...] = (200, 300)
    batch_size: int = 256
    learning_rate: float = 0.1
    stride_learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-3
    padding: int = 4
    flip: bool = True
    width: float = 1.0
    ramp: Ramp = "outside"
    smoothness: float = 4.0

    def rate_factor(self, epoch: int) -> float:
        """Give the learning rate of an epoch, counted from 0, in that of the first."""
        return 0.1 ** sum(epoch >= decay for decay in self.decay_epochs)


class ImageClassifier(nn.Module):
    """ResNet-18, the mean of every last map, and a linear layer.

    Shape:
        images: `(image, channel, row, column)`. output: `(image, class)`.
    """

    def __init__(
        self, downsampling: Downsampling, strides: Sequence[float], protocol: Protocol, n_channels: int, n_classes: int
    ) -> None:
        super().__init__()
        settings = StrideSettings(
            downsampling=downsampling,
            stride_time=strides,
            stride_frequency=strides,
            ramp=protocol.ramp,
            smoothness=protocol.smoothness,
        )
        self.backbone = resnet18(settings, width=protocol.width, n_channels_in=n_channels)
        self.head = nn.Linear(self.backbone.n_channels, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the output; its shape is that of the class."""
        logits: Tensor = self.head(self.backbone(images).mean((-2, -1)))
        return logits


def augment(images: Tensor, protocol: Protocol, generator: torch.Generator) -> Tensor:
    """Crop every image at random from itself with a border, and mirror half of them."""
    n, n_channels, height, width = images.shape
    padded = nn.functional.pad(images, [protocol.padding] * 4)
    tops, lefts = torch.randint(2 * protocol.padding + 1, (2, n), generator=generator)
    rows, columns = tops[:, None] + torch.arange(height), lefts[:, None] + torch.arange(width)
    if protocol.flip:
        mirrored = torch.rand(n, generator=generator) < 0.5
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    image, channel = torch.arange(n)[:, None, None, None], torch.arange(n_channels)[:, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]


def batches(images: Images, protocol: Protocol, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the training images of an epoch in a new order; a last batch that is not full is left out."""
    order = torch.randperm(len(images.train_y), generator=generator)
    for rows in order.split(protocol.batch_size):
        if len(rows) == min(protocol.batch_size, len(order)):
            yield augment(images.train_x[rows], protocol, generator), images.train_y[rows]


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor, device: torch.device) -> float:
    """Compute the share of images that are named right."""
    model.eval()
    right = sum(
        int((model(part.to(device)).argmax(1) == labels.to(device)).sum())
        for part, labels in zip(x.split(512), y.split(512), strict=True)
    )
    return right / len(y)


@torch.no_grad()
def average_norms(model: nn.Module, parts: Iterator[tuple[Tensor, Tensor]], device: torch.device) -> None:
    """Give batch norms the plain mean of the statistics of some batches: running ones lag behind moving strides."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    model.train()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    for x, _ in parts:
        model(x.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def train_epochs(
    model: ImageClassifier, images: Images, protocol: Protocol, seed: int, device: torch.device
) -> Iterator[float]:
    """Train a model; yield the mean loss of every epoch."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = make_optimizer(
        model,
        protocol.learning_rate,
        protocol.stride_learning_rate,
        kind="sgd",
        momentum=protocol.momentum,
        weight_decay=protocol.weight_decay,
    )
    for epoch in range(protocol.epochs):
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"] * protocol.rate_factor(epoch)
        losses = []
        for x, y in batches(images, protocol, generator):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
            torch.autograd.backward(loss)
            optimizer.step()
            project_strides_(model)
            losses.append(loss.detach())
        yield float(torch.stack(losses).mean())
    average_norms(model, batches(images, protocol, generator), device)
