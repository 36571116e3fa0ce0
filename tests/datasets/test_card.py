"""The cards of the data sets, as shipped."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from audiostride.data.manifest import SPLITS, Clip
from audiostride.datasets.card import CARDS, PACKED, Archive, Card, differences, load_card, load_cards, recognise

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
        card = load_card(name)
        assert name in (card.name, f"{card.name}_{card.version}")

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

    def test_its_archives_have_names_of_their_own(self, name: str) -> None:
        names = [archive.name for archive in load_card(name).archives]
        assert len(set(names)) == len(names) > 0
        assert all(archive.endswith((*PACKED, ".csv")) for archive in names)

    def test_no_two_archives_have_the_same_checksum(self, name: str) -> None:
        known = [archive.known_hash for archive in load_card(name).archives if archive.known_hash]
        assert len(set(known)) == len(known)


def test_splits_whose_sum_is_official_are_counted_together(card: Card) -> None:
    merged = card.model_copy(update={"counts": {"train+valid": 3}})
    clips = [clip("train", "cat"), clip("valid", "dog")]
    assert differences(merged, clips) == ["train+valid: 2 clips, officially 3"]
    assert differences(merged, [*clips, clip("valid", "cat")]) == []


@pytest.mark.parametrize(
    ("name", "n_classes"),
    [
        ("speech_commands", 35),
        ("speech_commands_v0.01", 30),
        ("nsynth", 11),
        ("tut_scenes_2018", 10),
        ("bird_detection_2018", 2),
        ("esc50", 50),
        ("urbansound8k", 10),
    ],
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


@pytest.mark.parametrize("name", ["../a.zip", "a/b.zip", "..", ""])
def test_an_archive_has_no_name_that_leaves_its_folder(name: str) -> None:
    with pytest.raises(ValidationError):
        Archive(url="http://localhost/a.zip", file_name=name)


# versions


def test_the_newest_card_comes_first() -> None:
    assert [card.version for card in load_cards("speech_commands")] == ["v0.02", "v0.01"]


@pytest.mark.parametrize(
    ("taken", "version"),
    [
        (lambda words: words, "v0.01"),
        (lambda words: words[:-1], "v0.02"),
        (lambda words: (*words, "visual"), "v0.02"),
        (lambda words: words[:10], "v0.02"),
    ],
    ids=["its words", "one less", "one more", "a few"],
)
def test_an_older_version_is_told_by_having_its_words_and_no_other(
    taken: Callable[[tuple[str, ...]], tuple[str, ...]], version: str
) -> None:
    words = taken(load_card("speech_commands_v0.01").classes)
    assert recognise(load_cards("speech_commands"), [clip("train", word) for word in words]).version == version


def test_the_only_card_is_that_of_all_clips() -> None:
    assert recognise(load_cards("nsynth"), [clip("train", "cat")]).name == "nsynth"


# differences


def test_the_official_release_has_none(card: Card) -> None:
    assert differences(card, [clip("train", "cat"), clip("train", "dog"), clip("test", "cat")]) == []


def test_missing_and_unexpected_classes_are_told(card: Card) -> None:
    lines = differences(card, [clip("train", "cat"), clip("train", "cow"), clip("test", "ant")])
    assert lines == ["1 missing classes: dog", "2 unexpected classes: ant, cow"]


def test_other_numbers_of_clips_are_told(card: Card) -> None:
    lines = differences(card, [clip("train", "cat"), clip("train", "dog"), clip("train", "dog")])
    assert lines == ["train: 3 clips, officially 2", "test: 0 clips, officially 1"]
