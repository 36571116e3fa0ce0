"""Images to learn from: CIFAR-10 and CIFAR-100 from the official binary archives, and the digits of scikit-learn."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audiostride.errors import DataError, UserError

SIZE = 32  # pixels on either side
N_PIXELS = 3 * SIZE * SIZE  # bytes of an image: red, then green, then blue, row by row
CIFAR_FILES = {  # by data set: training files, test file, classes, bytes before the image (the last is the class)
    "cifar10": ([f"data_batch_{i}.bin" for i in range(1, 6)], "test_batch.bin", 10, 1),
    "cifar100": (["train.bin"], "test.bin", 100, 2),
}
N_DIGITS_TRAIN = 1200


@dataclass(frozen=True)
class Images:
    """A data set in memory.

    Shape:
        train_x, test_x: `(image, channel, row, column)`, mean 0 and deviation 1 per channel over the training images.
        train_y, test_y: `(image,)`, classes from 0.
    """

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    n_classes: int


def _standardised(train: Tensor, train_y: Tensor, test: Tensor, test_y: Tensor, n_classes: int) -> Images:
    mean = train.mean((0, 2, 3), keepdim=True)
    deviation = train.std((0, 2, 3), keepdim=True)
    return Images((train - mean) / deviation, train_y, (test - mean) / deviation, test_y, n_classes)


def _contents(path: Path, names: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a folder or of a tar archive that have one of these names, wherever they lie in it."""
    if path.is_dir():
        for file in sorted(path.rglob("*.bin")):
            if file.name in names:
                yield file.name, file.read_bytes()
        return
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is not None and (name := Path(member.name).name) in names:
                    yield name, content.read()
    except (OSError, EOFError, tarfile.TarError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}), expected the binary archive of CIFAR or its folder"
        ) from error


def read_batch(name: str, content: bytes, n_labels: int, n_classes: int) -> tuple[Tensor, Tensor]:
    """Read a file of records: label bytes, then the bytes of an image.

    Args:
        name: of the file, for messages.
        content: of the file.
        n_labels: bytes before every image; the last one is the class.
        n_classes: number of classes.

    Shape:
        output: images `(image, 3, 32, 32)` between 0 and 1, and classes `(image,)`.

    Raises:
        DataError: the content is no whole number of records, or names a class that there is not.
    """
    n_bytes = n_labels + N_PIXELS
    if not content or len(content) % n_bytes:
        raise DataError(f"{name}: {len(content)} bytes, expected a whole number of records of {n_bytes} bytes")
    records = torch.from_numpy(np.frombuffer(content, np.uint8).copy()).view(-1, n_bytes)
    labels = records[:, n_labels - 1].long()
    if int(labels.max()) >= n_classes:
        raise DataError(f"{name}: class {int(labels.max())} in it, expected 0 to {n_classes - 1}")
    return records[:, n_labels:].reshape(-1, 3, SIZE, SIZE).float() / 255, labels


def load_cifar(data_set: str, path: Path) -> Images:
    """Read CIFAR-10 ("cifar10") or CIFAR-100 ("cifar100", fine labels) from the binary archive or its folder.

    Raises:
        UserError: no such archive, or files missing in it. DataError: a file that is damaged.
    """
    train_names, test_name, n_classes, n_labels = CIFAR_FILES[data_set]
    if not path.exists():
        raise UserError(f"{path}: no such file, expected the binary archive of {data_set} or its folder")
    found = {
        name: read_batch(f"{path}: {name}", content, n_labels, n_classes)
        for name, content in _contents(path, {*train_names, test_name})
    }
    missing = [name for name in (*train_names, test_name) if name not in found]
    if missing:
        raise UserError(f"{path}: holds no {', '.join(missing)}, expected the binary form of {data_set}")
    train_x, train_y = (torch.cat(parts) for parts in zip(*(found[name] for name in train_names), strict=True))
    return _standardised(train_x, train_y, *found[test_name], n_classes)


def load_digits() -> Images:
    """Give the 1,797 scanned digits of 8 x 8 pixels that scikit-learn holds, 1,200 of them to learn from."""
    from sklearn.datasets import load_digits as of_sklearn

    digits = of_sklearn()
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(digits.target)))
    x = torch.from_numpy(digits.images).float()[order, None] / 16
    y = torch.from_numpy(digits.target).long()[order]
    n = N_DIGITS_TRAIN
    return _standardised(x[:n], y[:n], x[n:], y[n:], 10)
