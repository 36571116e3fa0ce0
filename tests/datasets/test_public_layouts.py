"""The layouts of public data sets, each as a small tree: which recording is in which split with which label."""

import json
from collections import Counter
from pathlib import Path

import pytest

from audiostride.data.manifest import Clip
from audiostride.datasets import prepare
from audiostride.datasets.birds import read_birds
from audiostride.datasets.folder import read_folder
from audiostride.datasets.folds import read_esc50, read_urbansound8k
from audiostride.datasets.nsynth import read_nsynth
from audiostride.datasets.splits import hash_fraction, smallest_hashes, split_by_hash
from audiostride.datasets.tut_scenes import read_tut_scenes
from audiostride.errors import UserError


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# splits by a hash


def test_hashes_spread_evenly() -> None:
    counts = Counter(split_by_hash(str(i)) for i in range(10000))
    assert counts["test"] == pytest.approx(2000, abs=150)
    assert counts["valid"] == pytest.approx(1000, abs=120)


def test_a_hash_depends_on_the_text_alone() -> None:
    assert [hash_fraction("a"), hash_fraction("b")] == [hash_fraction("a"), hash_fraction("b")]
    assert hash_fraction("a") != hash_fraction("b")


@pytest.mark.parametrize(("n_names", "expected"), [(1, 0), (2, 1), (20, 3), (21, 4)])
def test_a_share_of_names_is_at_least_one_of_several(n_names: int, expected: int) -> None:
    assert len(smallest_hashes(map(str, range(n_names)), 0.15)) == expected


# NSynth


@pytest.fixture
def nsynth(tmp_path: Path) -> Path:
    for split, family in (("train", "bass"), ("valid", "flute"), ("test", "vocal")):
        notes = {f"{family}_{i}": {"instrument_family_str": family, "pitch": 40 + i, "note": i} for i in range(2)}
        write(tmp_path / f"nsynth-{split}" / "examples.json", json.dumps(notes))
    return tmp_path


def test_nsynth_has_family_and_pitch(nsynth: Path) -> None:
    clips = read_nsynth(nsynth)
    assert Counter(clip.split for clip in clips) == {"train": 2, "valid": 2, "test": 2}
    path = nsynth / "nsynth-valid" / "audio" / "flute_1.wav"
    assert Clip(path, "valid", {"instrument": "flute", "pitch": "41"}) in clips


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ("[]", "expected a mapping"),
        ('{"a": {"pitch": 3}}', "a: expected a note with instrument_family_str"),
        ('{"a": 3}', "a: expected a note"),
    ],
)
def test_nsynth_of_another_form_is_told(nsynth: Path, text: str, told: str) -> None:
    write(nsynth / "nsynth-test" / "examples.json", text)
    with pytest.raises(UserError, match=rf"nsynth-test/examples\.json: .*{told}"):
        read_nsynth(nsynth)


# TUT Urban Acoustic Scenes 2018


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Two scenes of eight locations with three segments; locations 6 and 7 are for the test."""
    header = "filename\tscene_label\tidentifier\tsource_label\n"
    rows = [
        (f"audio/{scene}-{place}-{take}.wav", scene, f"{scene}-{place}")
        for scene in ("bus", "park")
        for place in range(8)
        for take in range(3)
    ]
    write(tmp_path / "meta.csv", header + "".join("\t".join((*row, "a\n")) for row in rows))
    train = [row for row in rows if int(row[2][-1]) < 6]
    test = [row for row in rows if int(row[2][-1]) >= 6]
    write(tmp_path / "evaluation_setup/fold1_train.txt", "".join(f"{row[0]}\t{row[1]}\n" for row in train))
    write(tmp_path / "evaluation_setup/fold1_test.txt", "".join(f"{row[0]}\n" for row in test))
    return tmp_path


def test_scenes_of_the_test_list_are_test(scenes: Path) -> None:
    clips = read_tut_scenes(scenes)
    assert {clip.path.stem[-3] for clip in clips if clip.split == "test"} == {"6", "7"}
    assert len(clips) == 48
    assert Clip(scenes / "audio/bus-7-0.wav", "test", {"scene": "bus"}) in clips


def test_no_location_crosses_splits_and_valid_has_every_scene(scenes: Path) -> None:
    clips = read_tut_scenes(scenes)
    splits_of: dict[str, set[str]] = {}
    for clip in clips:
        splits_of.setdefault(clip.path.stem[:-2], set()).add(clip.split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert {clip.labels["scene"] for clip in clips if clip.split == "valid"} == {"bus", "park"}


def test_a_list_that_names_an_unknown_segment_is_told(scenes: Path) -> None:
    write(scenes / "evaluation_setup/fold1_test.txt", "audio/none.wav\n")
    with pytest.raises(UserError, match=r"fold1_test\.txt: 1 file\(s\) not in meta\.csv, as audio/none\.wav"):
        read_tut_scenes(scenes)


@pytest.mark.parametrize("name", ["meta.csv", "evaluation_setup/fold1_train.txt"])
def test_scenes_without_their_metadata_are_told(scenes: Path, name: str) -> None:
    (scenes / name).unlink()
    with pytest.raises(UserError, match=rf"{Path(name).name}: not found"):
        read_tut_scenes(scenes)


@pytest.mark.parametrize("name", ["fold1_train.txt", "fold1_test.txt"])
def test_a_list_of_scenes_that_is_no_text_is_told_with_its_path(scenes: Path, name: str) -> None:
    (scenes / "evaluation_setup" / name).write_bytes(b"audio/\xff.wav\tbus\n")
    with pytest.raises(UserError, match=rf"{name}: not text in UTF-8"):
        read_tut_scenes(scenes)


# bird detection


@pytest.mark.parametrize("folder", ["wav", "ff1010bird/wav", "ff1010bird"])
def test_birds_are_found_where_the_archives_put_them(tmp_path: Path, folder: str) -> None:
    write(tmp_path / "ff1010bird_metadata_2018.csv", "itemid,datasetid,hasbird\n12,ff1010bird,1\n13,ff1010bird,0\n")
    for item in ("12", "13"):
        write(tmp_path / folder / f"{item}.wav")
    clips = read_birds(tmp_path)
    assert [(clip.path, clip.labels) for clip in clips] == [
        (tmp_path / folder / "12.wav", {"bird": "bird"}),
        (tmp_path / folder / "13.wav", {"bird": "no_bird"}),
    ]
    assert [clip.split for clip in clips] == [split_by_hash("12"), split_by_hash("13")]


def test_birds_of_several_subsets_are_read_together(tmp_path: Path) -> None:
    for subset in ("ff1010bird", "warblrb10k"):
        write(tmp_path / f"{subset}.csv", f"itemid,datasetid,hasbird\n{subset}1,{subset},1\n")
    assert len(read_birds(tmp_path)) == 2


def test_a_label_of_birds_is_0_or_1(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "itemid,datasetid,hasbird\n12,ff1010bird,yes\n")
    with pytest.raises(UserError, match=r"a\.csv: 12: hasbird is 'yes', expected 0 or 1"):
        read_birds(tmp_path)


def test_a_folder_without_birds_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no CSV with the columns itemid,datasetid,hasbird"):
        read_birds(tmp_path)


# folds


@pytest.fixture
def esc50(tmp_path: Path) -> Path:
    rows = "".join(f"{fold}-a.wav,{fold},0,dog\n" for fold in range(1, 6))
    write(tmp_path / "meta/esc50.csv", f"filename,fold,target,category\n{rows}")
    return tmp_path


@pytest.mark.parametrize("folds", [{}, {"valid_fold": 1, "test_fold": 2}])
def test_folds_become_splits(esc50: Path, folds: dict[str, int]) -> None:
    of_fold = {clip.path.name[0]: clip.split for clip in read_esc50(esc50, **folds)}
    expected = {str(fold): "train" for fold in range(1, 6)}
    expected |= {str(folds.get("valid_fold", 4)): "valid", str(folds.get("test_fold", 5)): "test"}
    assert of_fold == expected


def test_every_clip_keeps_its_fold(esc50: Path) -> None:
    assert {clip.path.name[0]: clip.fold for clip in read_esc50(esc50)} == {str(i): str(i) for i in range(1, 6)}


@pytest.mark.parametrize(
    ("folds", "told"),
    [({"test_fold": 6}, "test_fold=6: expected 1 to 5"), ({"test_fold": 4}, "two different folds")],
)
def test_folds_that_are_not_there_are_refused(esc50: Path, folds: dict[str, int], told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_esc50(esc50, **folds)


def test_a_fold_that_is_no_number_is_told(esc50: Path) -> None:
    write(esc50 / "meta/esc50.csv", "filename,fold,category\na.wav,x,dog\n")
    with pytest.raises(UserError, match=r"esc50\.csv: fold is 'x', expected 1 to 5"):
        read_esc50(esc50)


def test_urbansound8k_has_a_folder_per_fold(tmp_path: Path) -> None:
    rows = "".join(f"{fold}.wav,{fold},siren\n" for fold in range(1, 11))
    write(tmp_path / "metadata/UrbanSound8K.csv", f"slice_file_name,fold,class\n{rows}")
    clips = read_urbansound8k(tmp_path)
    assert Clip(tmp_path / "audio/fold10/10.wav", "test", {"sound": "siren"}, fold="10") in clips
    assert Counter(clip.split for clip in clips) == {"train": 8, "valid": 1, "test": 1}


def test_data_without_folds_refuse_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="test_fold=3: folder does not come in folds"):
        prepare("folder", tmp_path, test_fold=3)


# folders


def test_a_folder_per_class_is_split_by_a_hash(tmp_path: Path) -> None:
    for label in ("frog", "owl"):
        for i in range(50):
            write(tmp_path / label / f"{i}.wav")
    clips = read_folder(tmp_path)
    assert all(clip.split == split_by_hash(f"{clip.labels['label']}/{clip.path.name}") for clip in clips)
    assert set(Counter(clip.split for clip in clips)) == {"train", "valid", "test"}


@pytest.mark.parametrize("n", range(1, 13))
def test_a_small_class_has_recordings_in_every_split(tmp_path: Path, n: int) -> None:
    for label in ("frog", "owl", "wren", "robin"):
        for i in range(n):
            write(tmp_path / label / f"{i}.wav")
    clips = read_folder(tmp_path)
    assert len(clips) == 4 * n
    for label in ("frog", "owl", "wren", "robin"):
        splits = Counter(clip.split for clip in clips if clip.labels["label"] == label)
        assert n < 3 or set(splits) == {"train", "valid", "test"}
        assert sum(splits[split] for split in ("valid", "test")) < max(3, n)


@pytest.mark.parametrize(
    ("name", "split"), [("train", "train"), ("Validation", "valid"), ("dev", "valid"), ("testing", "test")]
)
def test_a_folder_per_split_and_class_keeps_the_split(tmp_path: Path, name: str, split: str) -> None:
    path = write(tmp_path / name / "owl" / "deep" / "a.FLAC")
    assert read_folder(tmp_path) == [Clip(path, split, {"label": "owl"})]


@pytest.mark.parametrize("name", ["notes.txt", ".a.wav", "a"])
def test_what_is_no_recording_is_left_out(tmp_path: Path, name: str) -> None:
    write(tmp_path / "owl" / name)
    kept = write(tmp_path / "owl" / "kept.mp3")
    write(tmp_path / "_background_noise_" / "a.wav")
    assert [clip.path for clip in read_folder(tmp_path)] == [kept]


def test_a_class_beside_splits_is_told(tmp_path: Path) -> None:
    write(tmp_path / "train" / "owl" / "a.wav")
    write(tmp_path / "frog" / "a.wav")
    with pytest.raises(UserError, match=r"frog: a class beside train"):
        read_folder(tmp_path)


SITES = {
    "classes below": ("north/owl/1.wav", "north/frog/2.wav", "south/owl/3.wav"),
    "tables": ("north/1.wav", "north/1.txt", "south/2.wav", "south/2.Table.1.selections.txt"),
    "recorders": ("north/north_20240425_202300.wav", "south/20240426-south.wav"),
}


@pytest.mark.parametrize("paths", SITES.values(), ids=SITES)
def test_sites_are_not_taken_for_classes_unless_told(tmp_path: Path, paths: tuple[str, ...]) -> None:
    for path in paths:
        write(tmp_path / path)
    with pytest.raises(UserError, match=r"north, south: are these sites or classes.*--label-from folder"):
        read_folder(tmp_path)
    of_folder = {clip.labels["label"] for clip in read_folder(tmp_path, "folder")}
    of_parent = {clip.labels["label"] for clip in read_folder(tmp_path, "parent")}
    assert of_folder == {"north", "south"}
    assert of_parent == ({"owl", "frog"} if "owl/" in paths[0] else of_folder)


@pytest.mark.parametrize("paths", [("owl/owl_1.wav", "frog/frog_2.wav"), ("owl/a/1.wav", "frog/b/2.wav")])
def test_classes_are_no_sites(tmp_path: Path, paths: tuple[str, ...]) -> None:
    for path in paths:
        write(tmp_path / path)
    assert {clip.labels["label"] for clip in read_folder(tmp_path)} == {"owl", "frog"}


def test_only_folders_are_asked_what_names_the_class(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="label_from=parent: an option of prepare folder, not of esc50"):
        prepare("esc50", tmp_path, label_from="parent")


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no recordings in folders"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [("a,b\n", "no column 'filename'"), ("filename,fold,category\na.wav,,dog\n", "esc50.csv:2: expected a value")],
)
def test_a_table_of_another_form_is_told(esc50: Path, text: str, told: str) -> None:
    write(esc50 / "meta/esc50.csv", text)
    with pytest.raises(UserError, match=told):
        read_esc50(esc50)
