"""The example on images: CIFAR's files as their makers describe them, and trainings that are told once."""

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from audiostride.errors import DataError, UserError

EXAMPLE = Path(__file__).parents[1] / "examples/cifar"
N_RECORDS = {"cifar10": 4, "cifar100": 3}  # of every file


@pytest.fixture(autouse=True)
def _on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))


def write_archive(folder: Path, data_set: str) -> tuple[Path, dict[str, np.ndarray]]:
    """An archive with a few records in every file, in the official format, and its records `(record, byte)`."""
    from cifar_images import CIFAR_FILES, N_PIXELS

    rng = np.random.default_rng(0)
    train, test, n_classes, n_labels = CIFAR_FILES[data_set]
    inside = folder / {"cifar10": "cifar-10-batches-bin", "cifar100": "cifar-100-binary"}[data_set]
    inside.mkdir()
    records = {}
    for name in (*train, test):
        labels = rng.integers(0, n_classes, (N_RECORDS[data_set], n_labels))
        pixels = rng.integers(0, 256, (len(labels), N_PIXELS))
        records[name] = np.concatenate([labels, pixels], axis=1).astype(np.uint8)
        (inside / name).write_bytes(records[name].tobytes())
    (inside / "batches.meta.txt").write_text("airplane\n")
    path = folder / "binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(inside, inside.name)
    return path, records


@pytest.mark.parametrize(("data_set", "n_train"), [("cifar10", 20), ("cifar100", 3)])
def test_the_official_files_are_read_from_the_archive_and_from_its_folder(
    data_set: str, n_train: int, tmp_path: Path
) -> None:
    from cifar_images import CIFAR_FILES, load_cifar

    path, records = write_archive(tmp_path, data_set)
    images = load_cifar(data_set, path)
    train, test, n_classes, n_labels = CIFAR_FILES[data_set]
    assert images.train_x.shape == (n_train, 3, 32, 32)
    assert images.n_classes == n_classes
    assert images.train_y.tolist() == [int(row[n_labels - 1]) for name in train for row in records[name]]
    assert images.test_y.tolist() == [int(row[n_labels - 1]) for row in records[test]]
    raw = np.concatenate([records[name] for name in train])[:, n_labels:].reshape(-1, 3, 32, 32) / 255
    standardised = (raw - raw.mean((0, 2, 3), keepdims=True)) / raw.std((0, 2, 3), keepdims=True, ddof=1)
    np.testing.assert_allclose(images.train_x.numpy(), standardised, atol=1e-4)
    of_folder = load_cifar(data_set, tmp_path)
    assert torch.equal(images.test_x, of_folder.test_x)


def test_a_colour_is_a_plane_of_rows(tmp_path: Path) -> None:
    from cifar_images import read_batch

    record = np.zeros(3073, np.uint8)
    record[0], record[1 + 1024 + 32 * 5 + 7] = 9, 255  # class 9; green, row 5, column 7
    x, y = read_batch("one.bin", record.tobytes(), 1, 10)
    assert y.tolist() == [9]
    assert x.nonzero().tolist() == [[0, 1, 5, 7]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "b.bin: 0 bytes, expected a whole number of records of 3073 bytes"),
        (bytes(3072), "b.bin: 3072 bytes, expected a whole number"),
        (bytes([10]) + bytes(3072), "b.bin: class 10 in it, expected 0 to 9"),
    ],
)
def test_a_damaged_file_is_told(content: bytes, told: str) -> None:
    from cifar_images import read_batch

    with pytest.raises(DataError, match=told):
        read_batch("b.bin", content, 1, 10)


def test_what_is_no_archive_of_it_is_told(tmp_path: Path) -> None:
    from cifar_images import load_cifar

    with pytest.raises(UserError, match="no such file"):
        load_cifar("cifar10", tmp_path / "none.tar.gz")
    (tmp_path / "text.tar.gz").write_text("no archive")
    with pytest.raises(UserError, match="cannot be read"):
        load_cifar("cifar10", tmp_path / "text.tar.gz")
    path, _ = write_archive(tmp_path, "cifar100")
    with pytest.raises(UserError, match=r"holds no data_batch_1\.bin, .*, test_batch\.bin"):
        load_cifar("cifar10", path)


def test_the_defaults_are_the_paper_s_protocol() -> None:
    from cifar_study import PROTOCOLS, STARTS
    from cifar_training import Protocol

    paper = Protocol()
    assert PROTOCOLS["cifar10"] == PROTOCOLS["cifar100"] == paper
    assert (paper.epochs, paper.batch_size, paper.learning_rate, paper.momentum) == (400, 256, 0.1, 0.9)
    assert (paper.weight_decay, paper.width, paper.ramp, paper.smoothness) == (5e-3, 1.0, "outside", 4.0)
    factors = [paper.rate_factor(epoch) for epoch in (0, 199, 200, 299, 300, 399)]
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert len(STARTS) == 6


def test_a_crop_is_a_part_of_the_image_and_half_are_mirrored() -> None:
    from cifar_training import Protocol, augment

    images = torch.arange(1.0, 65).view(1, 1, 8, 8).expand(400, 1, 8, 8)
    crops = augment(images, Protocol(padding=1), torch.Generator().manual_seed(0))
    assert crops.shape == images.shape
    rises = (crops[:, 0, 4, 4] > crops[:, 0, 4, 3]).float().mean()
    assert 0.4 < rises < 0.6
    plain = augment(images, Protocol(padding=1, flip=False), torch.Generator().manual_seed(0))
    centres = set(plain[:, 0, 4, 4].tolist())
    assert centres == {float(images[0, 0, row, column]) for row in (3, 4, 5) for column in (3, 4, 5)}


def test_a_training_is_told_once_and_strides_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import cifar_study
    from cifar_images import load_digits
    from cifar_training import Protocol

    digits = load_digits()
    assert (len(digits.train_y), len(digits.test_y), digits.train_x.shape[1:]) == (1200, 597, (1, 8, 8))
    monkeypatch.setattr(cifar_study, "STARTS", ((2, 1, 3),))
    small: Any = Protocol(epochs=1, batch_size=300, stride_learning_rate=0.1, padding=1, width=0.06, ramp="folded")
    for _ in range(2):
        cifar_study.run("digits", digits, small, tmp_path / "results.jsonl", 1, torch.device("cpu"))
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [line["job"]["method"] for line in lines] == ["strided_conv", "spectral_pooling", "diffstride"]
    assert [line["rows"] == [2, 1, 3] for line in lines] == [True, True, False]
    text = cifar_study.table(lines, "digits").splitlines()
    assert text[2].startswith("| (2, 1, 3) | ")
    assert text[-1].startswith("| mean over all | ")
