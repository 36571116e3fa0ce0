"""Which recordings, task and classes an evaluation of events is about."""

from pathlib import Path

import pytest

from audiostride.errors import ArgumentError, DataError, UserError
from audiostride.evaluation.traits import Traits
from audiostride.runs.event_data import EventData, choose_events, read_events
from audiostride.runs.scoring import Subject
from tests.runs.sounds import Loudness, record, subject, track


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three annotated recordings, and a manifest that knows two of them."""
    for name, label in (("a", "soft"), ("b", "loud"), ("c", "thunder")):
        record(tmp_path / f"{name}.wav", 4, [(1, 2, "soft")])
        track(tmp_path / f"{name}.txt", (1, 2, "soft"), (2, 3, label))
    (tmp_path / "m.csv").write_text("path,split,label\na.wav,train,soft\nb.wav,test,loud\nb.wav,test,soft\n")
    return tmp_path


def chosen(of: Subject, folder: Path, **arguments: object) -> EventData:
    ignored = arguments.get("ignored", ())
    return choose_events(of, read_events(of, folder, ignored=ignored), **arguments)  # type: ignore[arg-type]


def names(data: EventData) -> list[str]:
    return [recording.path.stem for recording in data.recordings]


def test_what_the_manifest_has_in_another_split_is_left_out(folder: Path) -> None:
    data = chosen(subject(manifest=folder / "m.csv"), folder)
    assert names(data) == ["b", "c"]
    assert data.notes[:2] == [
        "1 of 3 recordings left out: in another split than test (train 1)",
        "1 recording(s) in no manifest of the run: they count",
    ]
    assert names(chosen(subject(manifest=folder / "m.csv"), folder, split="train")) == ["a", "c"]


def test_a_recording_in_two_splits_counts_in_neither(folder: Path) -> None:
    (folder / "m.csv").write_text("path,split,label\na.wav,train,soft\na.wav,test,soft\nb.wav,test,loud\n")
    assert names(chosen(subject(manifest=folder / "m.csv"), folder)) == ["b", "c"]
    assert names(chosen(subject(manifest=folder / "m.csv"), folder, split="train")) == ["c"]


def test_a_recording_is_known_by_another_way_to_it(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "season"
    link.symlink_to(folder)
    assert names(chosen(subject(manifest=folder / "m.csv"), link)) == ["b", "c"]


def test_an_exported_model_does_not_know_what_it_was_trained_on(folder: Path) -> None:
    data = chosen(subject(is_exported=True), folder)
    assert names(data) == ["a", "b", "c"]
    assert data.notes[0].startswith("an exported model does not know its manifests: all 3 recordings count")


def test_a_manifest_that_is_named_counts_instead(folder: Path) -> None:
    data = chosen(subject(is_exported=True), folder, manifest=folder / "m.csv")
    assert names(data) == ["b", "c"]


def test_a_manifest_that_is_gone_is_told(folder: Path) -> None:
    data = chosen(subject(manifest="gone.csv"), folder)
    assert names(data) == ["a", "b", "c"]
    assert "gone.csv: no such manifest" in data.notes[0]
    assert data.notes[0].endswith("all 3 recordings count, those that it was trained on too")


def test_no_recording_of_the_split_is_a_mistake(folder: Path) -> None:
    (folder / "m.csv").write_text("path,split,label\n" + "".join(f"{name}.wav,train,soft\n" for name in "abc"))
    with pytest.raises(DataError, match=r"no annotated recording is left in the split test; 3 of 3"):
        chosen(subject(manifest=folder / "m.csv"), folder)


def test_classes_that_the_model_does_not_know_are_left_out_and_told(folder: Path) -> None:
    data = chosen(subject(is_exported=True), folder)
    assert data.recordings[2].spans == [(1, 2, "soft")]
    assert data.notes[1] == "1 span(s) of classes unknown to the task, neither hits nor misses: thunder (1)"


def test_spans_of_the_background_are_told(folder: Path) -> None:
    track(folder / "c.txt", (1, 2, "none"), (2, 3, "soft"))
    data = chosen(subject(is_exported=True), folder)
    assert data.classes == ("soft", "loud")
    assert "1 span(s) of the background, neither hits nor misses: none (1)" in data.notes


def test_an_ignored_class_loses_spans_and_detections(folder: Path) -> None:
    data = chosen(subject(is_exported=True), folder, ignored=["loud", "thunder"])
    assert data.classes == ("soft",)
    assert {name for recording in data.recordings for *_, name in recording.spans} == {"soft"}
    assert len(data.notes) == 1


def test_a_class_of_the_model_may_be_ignored_though_no_table_has_it(folder: Path) -> None:
    (folder / "b.txt").write_text("1\t2\tsoft\n")
    assert chosen(subject(is_exported=True), folder, ignored=["loud"]).classes == ("soft",)
    with pytest.raises(ArgumentError, match="ignored=storm: no such class"):
        chosen(subject(is_exported=True), folder, ignored=["storm"])


def test_classes_are_renamed(folder: Path) -> None:
    of = subject(is_exported=True)
    data = choose_events(of, read_events(of, folder, {"thunder": "loud"}))
    assert (2, 3, "loud") in data.recordings[2].spans
    assert len(data.notes) == 1


def test_one_table_alone_is_read(folder: Path) -> None:
    data = chosen(subject(is_exported=True), folder / "b.txt")
    assert names(data) == ["b"]
    (folder / "events.csv").write_text("path,start_s,end_s,label\na.wav,1,2,soft\nc.wav,,,\n")
    assert names(chosen(subject(is_exported=True), folder / "events.csv")) == ["a", "c"]
    assert not read_events(subject(), folder / "events.csv").notes  # nothing of the files beside it


@pytest.mark.parametrize(
    ("name", "told"),
    [("gone", "no such folder"), ("a.wav", "no table of annotations"), ("m.csv", "no table of annotations")],
)
def test_what_is_no_table_is_told(folder: Path, name: str, told: str) -> None:
    with pytest.raises(UserError, match=rf"{name}: {told}"):
        chosen(subject(is_exported=True), folder / name)


def test_mistakes_in_tables_are_told_with_their_lines(folder: Path) -> None:
    (folder / "b.txt").write_text("1\t2\tsoft\n3\t1\tsoft\n")
    with pytest.raises(UserError, match=r"b\.txt:2: end 1 lies before start 3"):
        chosen(subject(is_exported=True), folder)


class TwoTasks(Loudness):
    """A second task, with one class of the same name if `shared`."""

    def __init__(self, *, shared: bool) -> None:
        super().__init__()
        self.classes = {**self.classes, "weather": ("dry", "soft" if shared else "thunder")}
        self.traits = {**self.traits, "weather": Traits()}


def test_the_task_is_the_one_whose_classes_are_annotated(folder: Path) -> None:
    for name in "ab":
        (folder / f"{name}.txt").write_text("1\t2\tthunder\n")
    (folder / "c.txt").write_text("1\t2\tthunder\n2\t3\tnone\n")  # which is the background of the other task
    data = chosen(subject(TwoTasks(shared=False), is_exported=True), folder)
    assert (data.task, data.classes) == ("weather", ("dry", "thunder"))


def test_several_tasks_that_fit_are_to_be_chosen_from(folder: Path) -> None:
    of = subject(TwoTasks(shared=True), is_exported=True)
    with pytest.raises(ArgumentError, match="task=NAME: expected one of level, weather, each of which"):
        chosen(of, folder)
    assert chosen(of, folder, task="weather").task == "weather"
    with pytest.raises(ArgumentError, match="no such task, expected one of level, weather"):
        chosen(of, folder, task="noise")


def test_annotations_of_no_class_of_the_model_are_a_mistake(folder: Path) -> None:
    for name in "abc":
        (folder / f"{name}.txt").write_text("1\t2\tthunder\n")
    with pytest.raises(DataError, match="annotated: thunder; the model has loud, soft; rename"):
        chosen(subject(is_exported=True), folder)


def test_where_nothing_is_annotated_the_only_task_counts(folder: Path) -> None:
    for name in "abc":
        (folder / f"{name}.txt").write_text("")
    data = chosen(subject(is_exported=True), folder)
    assert (data.task, [recording.spans for recording in data.recordings]) == ("level", [[], [], []])
    with pytest.raises(ArgumentError, match="expected one of level, weather, since nothing is annotated"):
        chosen(subject(TwoTasks(shared=False), is_exported=True), folder)
