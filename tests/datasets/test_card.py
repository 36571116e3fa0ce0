"""The cards of the data sets, as shipped."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from audiostride.data.manifest import SPLITS, Clip
from audiostride.datasets.card import CARDS, Card, differences, load_card

NAMES = sorted(path.stem for path in CARDS.glob("*.yaml"))


@pytest.fixture
def card() -> Card:
    return Card(
        name="pets",
        description="two pets",
        label="label",
        classes=("cat", "dog"),
        counts={"train": 2, "test": 1},
        licence="CC0",
        citation="nobody",
        archives=(),
    )


def clip(split: str, label: str) -> Clip:
    return Clip(Path("a.wav"), split, {"label": label})


def test_there_are_cards() -> None:
    assert "speech_commands" in NAMES


@pytest.mark.parametrize("name", NAMES)
class TestShipped:
    def test_it_loads_under_its_own_name(self, name: str) -> None:
        assert load_card(name).name == name

    def test_its_classes_are_text(self, name: str) -> None:
        assert all(isinstance(label, str) and label == label.strip() != "" for label in load_card(name).classes)

    def test_its_classes_are_unique(self, name: str) -> None:
        classes = load_card(name).classes
        assert len(set(classes)) == len(classes)

    def test_its_counts_are_of_known_splits(self, name: str) -> None:
        counts = load_card(name).counts
        assert {part for split in counts for part in split.split("+")} <= set(SPLITS)
        assert all(count > 0 for count in counts.values())

    def test_its_archives_have_an_address_and_a_checksum(self, name: str) -> None:
        for archive in load_card(name).archives:
            assert re.match("https?://", archive.url)
            assert re.fullmatch("[0-9a-f]{64}|", archive.sha256 or "")
            assert re.fullmatch("[0-9a-f]{32}|", archive.md5 or "")


def test_splits_whose_sum_is_official_are_counted_together(card: Card) -> None:
    merged = card.model_copy(update={"counts": {"train+valid": 3}})
    clips = [clip("train", "cat"), clip("valid", "dog")]
    assert differences(merged, clips) == ["train+valid: 2 clips, officially 3"]
    assert differences(merged, [*clips, clip("valid", "cat")]) == []


@pytest.mark.parametrize(
    ("name", "n_classes"),
    [("speech_commands", 35), ("nsynth", 11), ("tut_scenes_2018", 10), ("bird_detection_2018", 2)],
)
def test_a_card_has_the_official_number_of_classes(name: str, n_classes: int) -> None:
    assert len(load_card(name).classes) == n_classes


@pytest.mark.parametrize("label", [True, 1, None])
def test_a_class_that_is_no_text_is_refused(card: Card, label: object) -> None:
    with pytest.raises(ValidationError):
        Card.model_validate({**card.model_dump(), "classes": ("cat", label)})


def test_a_card_cannot_be_changed(card: Card) -> None:
    with pytest.raises(ValidationError):
        card.name = "other"  # type: ignore[misc]


# differences


def test_the_official_release_has_none(card: Card) -> None:
    assert differences(card, [clip("train", "cat"), clip("train", "dog"), clip("test", "cat")]) == []


def test_missing_and_unexpected_classes_are_told(card: Card) -> None:
    lines = differences(card, [clip("train", "cat"), clip("train", "cow"), clip("test", "ant")])
    assert lines == ["1 missing classes: dog", "2 unexpected classes: ant, cow"]


def test_other_numbers_of_clips_are_told(card: Card) -> None:
    lines = differences(card, [clip("train", "cat"), clip("train", "dog"), clip("train", "dog")])
    assert lines == ["train: 3 clips, officially 2", "test: 0 clips, officially 1"]
