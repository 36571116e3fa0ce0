"""Recipes: those shipped are right, and every mistake is told at once, with its place and what was expected."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from audiostride.errors import UserError
from audiostride.recipe.reader import load_recipe, recipe_of
from audiostride.recipe.schema import Recipe
from audiostride.vocabulary import BACKBONE_STRIDES, N_BLOCKS

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "recipes").rglob("*.yaml"))

TASKS = "tasks:\n  words: {manifest: m.csv}\n"  # what every recipe needs, two lines


def load(folder: Path, text: str = TASKS, *settings: str) -> Recipe:
    (folder / "r.yaml").write_text(text, encoding="utf-8")
    return load_recipe(folder / "r.yaml", settings)


def problems(folder: Path, text: str, *settings: str) -> list[str]:
    """The lines of the error, without the folder."""
    with pytest.raises(UserError) as caught:
        load(folder, text, *settings)
    return str(caught.value).replace(f"{folder}/", "").split("\n")


# shipped recipes


def test_recipes_are_shipped() -> None:
    assert len(SHIPPED) >= 2


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.relative_to(ROOT / "recipes").as_posix())
class TestShipped:
    def test_it_is_right(self, path: Path) -> None:
        assert load_recipe(path).tasks

    def test_its_header_tells_the_command(self, path: Path) -> None:
        header = path.read_text(encoding="utf-8").split("\ntasks:")[0]
        name = path.relative_to(ROOT / "recipes").with_suffix("").as_posix()
        assert re.search(rf"audiostride train {re.escape(name)}( |\n|$)", header)

    def test_its_manifests_are_prepared_by_a_command_in_its_header(self, path: Path) -> None:
        folders = {Path(task.manifest).parent.relative_to(Path.cwd()) for task in load_recipe(path).tasks.values()}
        commands = re.findall(r"#\s+audiostride prepare \w+ (\S+)", path.read_text(encoding="utf-8"))
        assert folders <= set(map(Path, commands))


# values


def test_what_is_not_said_is_as_published(tmp_path: Path) -> None:
    recipe = load(tmp_path)
    assert (recipe.training.batch_size, recipe.training.learning_rate, recipe.training.steps) == (256, 1e-4, 1_000_000)
    assert recipe.model.stride_time == (2, 2, 1, 2, 1, 2)


@pytest.mark.parametrize("text", ["1e-4", "0.0001", "1.0e-4", "1E-4"])
def test_a_number_with_an_exponent_is_a_number(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, f"{TASKS}training: {{learning_rate: {text}}}").training.learning_rate == 1e-4


def test_a_whole_number_does_for_a_fraction(tmp_path: Path) -> None:
    assert load(tmp_path, f"{TASKS}model: {{width: 2}}").model.width == 2.0


@pytest.mark.parametrize("axis", ["time", "frequency"])
def test_strides_may_be_a_list(tmp_path: Path, axis: str) -> None:
    recipe = load(tmp_path, f"{TASKS}model: {{stride_{axis}: [1, 1.5, 2, 1, 3, 1e0]}}")
    assert getattr(recipe.model, f"stride_{axis}") == (1.0, 1.5, 2.0, 1.0, 3.0, 1.0)


@pytest.mark.parametrize("axis", ["time", "frequency"])
def test_strides_may_be_random(tmp_path: Path, axis: str) -> None:
    assert getattr(load(tmp_path, f"{TASKS}model: {{stride_{axis}: random}}").model, f"stride_{axis}") == "random"


def test_a_range_is_a_list_of_two_numbers(tmp_path: Path) -> None:
    assert load(tmp_path, f"{TASKS}augmentation: {{noise_snr_db: [5, 1e1]}}").augmentation.noise_snr_db == (5.0, 10.0)


@pytest.mark.parametrize("value", ["5", "[5]", "[5, 6, 7]", "[6, 5]", "[5, .inf]", "[.nan, 5]", "[true, 5]", "[a, b]"])
def test_other_ranges_are_told_with_what_was_expected(tmp_path: Path, value: str) -> None:
    (line,) = problems(tmp_path, f"{TASKS}augmentation:\n  noise_snr_db: {value}\n")
    assert line.startswith("r.yaml:4: augmentation.noise_snr_db: got ")
    assert line.endswith("expected a list of two numbers, the lower one first, as in [5, 50]")


@pytest.mark.parametrize("value", ["[0, 1]", "[-1, 1]", "[0.1, 1]", "[1, 9]"])
def test_speeds_out_of_range_are_told_with_what_was_expected(tmp_path: Path, value: str) -> None:
    (line,) = problems(tmp_path, f"{TASKS}augmentation:\n  speed: {value}\n")
    assert line.startswith("r.yaml:4: augmentation.speed: got ")
    assert line.endswith("expected speeds from 0.125 to 8, as in [0.8, 1.25]")


def test_noise_is_white_unless_colours_are_named(tmp_path: Path) -> None:
    assert load(tmp_path, TASKS).augmentation.noise_colours == ("white",)
    recipe = load(tmp_path, f"{TASKS}augmentation: {{noise_colours: [brown, white]}}")
    assert recipe.augmentation.noise_colours == ("brown", "white")


@pytest.mark.parametrize("value", ["white", "[]", "[white, white]", "[blue]", "[1]", "[[white]]", "null", "{white: 1}"])
def test_other_colours_are_told_with_what_was_expected(tmp_path: Path, value: str) -> None:
    (line,) = problems(tmp_path, f"{TASKS}augmentation:\n  noise_colours: {value}\n")
    assert line.startswith("r.yaml:4: augmentation.noise_colours: got ")
    assert line.endswith("expected a list of white, pink, brown, each once at most, as in [white, pink]")


@pytest.mark.parametrize(
    "value",
    [
        "2",
        "[2, 2]",
        "[1, 1, 1, 1, 1, 1, 1]",
        "[2, 2, 1, 2, 1, 0.5]",
        "[2, 2, 1, 2, 1, true]",
        "[2, 2, 1, 2, 1, x]",
        "[2, 2, 1, 2, 1, .nan]",
        "[2, 2, 1, 2, 1, .inf]",
        "[2, 2, 1, 2, 1, null]",
        "rnadom",
        "null",
    ],
)
def test_other_strides_are_told_with_what_was_expected(tmp_path: Path, value: str) -> None:
    (line,) = problems(tmp_path, f"{TASKS}model:\n  stride_time: {value}\n")
    assert line.startswith("r.yaml:4: model.stride_time: got ")
    assert line.endswith(f"expected a list of {N_BLOCKS} numbers >= 1 and <= 1e+06, one per block, or random")


@pytest.mark.parametrize(("backbone", "strides"), BACKBONE_STRIDES.items())
def test_every_backbone_has_its_own_number_of_strides(
    tmp_path: Path, backbone: str, strides: tuple[float, ...]
) -> None:
    model = load(tmp_path, f"{TASKS}model: {{backbone: {backbone}}}").model
    assert (model.stride_time, model.stride_frequency) == (strides, strides)
    assert model.model_fields_set == {"backbone"}
    text = f"{TASKS}model: {{backbone: {backbone}, smoothness_time: {[3] * len(strides)}, stride_time: [2]}}"
    (line,) = problems(tmp_path, text)
    assert line.endswith(f"expected a list of {len(strides)} numbers >= 1 and <= 1e+06, one per block, or random")


@pytest.mark.parametrize("setting", ["placement: per_block", "order: conv_relu_bn_pool"])
def test_settings_of_the_first_backbone_alone_are_told_to_the_others(tmp_path: Path, setting: str) -> None:
    (line,) = problems(tmp_path, f"{TASKS}model: {{backbone: resnet18, {setting}}}")
    assert line.endswith("is of backbone: time_frequency_cnn, not of resnet18")
    assert load(tmp_path, f"{TASKS}model: {{backbone: resnet18, shared: true}}").model.shared


def test_strided_convolutions_need_whole_strides(tmp_path: Path) -> None:
    text = f"{TASKS}model: {{downsampling: strided_conv, stride_frequency: [1.5, 1, 1, 1, 1, 1]}}"
    (line,) = problems(tmp_path, text)
    assert line.startswith("r.yaml:3: model: strided_conv needs integers in stride_frequency, got [1.5")


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("stride_low: 3, stride_high: 2", "stride_low=3 exceeds stride_high=2"),
        ("shared: true", "placement: per_block"),
        ("shared: true, placement: per_block, stride_time: random", "equal stride_time and stride_frequency"),
    ],
)
def test_settings_that_contradict_each_other_are_told(tmp_path: Path, model: str, told: str) -> None:
    (line,) = problems(tmp_path, f"{TASKS}model: {{{model}}}")
    assert line.startswith("r.yaml:3: model: ")
    assert told in line


@pytest.mark.parametrize(
    ("frontend", "told"),
    [
        ("n_fft: 256", "win_length must be above 0 and at most n_fft=256, got 400"),
        ("hop_length: 401", "hop_length must be above 0 and at most win_length=400, got 401"),
        ("f_max: 8001", "0 <= f_min < f_max <= 8000 Hz"),
        ("f_min: 7800", "got f_min=7800, f_max=7800"),
        ("n_mels: 257", "n_mels must be above 0 and at most n_fft / 2 = 256, got 257"),
        ("sample_rate: 8000", "half of sample_rate=8000"),
        ("normalization: peak", "normalization: peak needs top_db"),
    ],
)
def test_a_front_end_that_cannot_be_is_told(tmp_path: Path, frontend: str, told: str) -> None:
    (line,) = problems(tmp_path, f"{TASKS}frontend: {{{frontend}}}")
    assert line.startswith("r.yaml:3: frontend: ")
    assert told in line


def test_a_window_shorter_than_a_frame_is_told(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, f"{TASKS}data: {{window_s: 0.02}}")
    assert "data.window_s=0.02 is shorter than frontend.win_length" in line


# mistakes


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("seed: true", "r.yaml:3: seed: got True, expected a valid integer"),
        ("training: {steps: true}", "r.yaml:3: training.steps: got True, expected a valid integer"),
        ("model: {width: true}", "r.yaml:3: model.width: got True, expected a valid number"),
        ("training: {steps: 1.5}", "r.yaml:3: training.steps: got 1.5, expected a valid integer"),
        ("training: {steps: '9'}", "r.yaml:3: training.steps: got '9', expected a valid integer"),
        ("training:\n  steps: 0", "r.yaml:4: training.steps: got 0, expected greater than or equal to 1"),
        ("training:\n\n  learning_rate: 0", "r.yaml:5: training.learning_rate: got 0, expected greater than 0"),
        (
            "training: {learning_rate: .inf}",
            "r.yaml:3: training.learning_rate: got inf, expected a finite number",
        ),
        ("model: {shared: 1}", "r.yaml:3: model.shared: got 1, expected a valid boolean"),
        ("model: {ramp: insde}", "r.yaml:3: model.ramp: got 'insde', did you mean 'inside'?"),
        ("model: {ramp: xyz}", "r.yaml:3: model.ramp: got 'xyz', expected one of folded, inside, outside"),
        ("model: {rmap: inside}", "r.yaml:3: model.rmap: unknown key, did you mean 'ramp'?"),
        ("modle: {ramp: inside}", "r.yaml:3: modle: unknown key, did you mean 'model'?"),
        ("data:\n  'window_s ': 1", "r.yaml:4: data.window_s : unknown key, did you mean 'window_s'?"),
        (
            "data: {zzz: 1}",
            "r.yaml:3: data.zzz: unknown key, expected one of cache_dir, device, max_bad_files, n_workers, test_fold, "
            "valid_fold, window_s",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_was_expected(tmp_path: Path, text: str, line: str) -> None:
    assert problems(tmp_path, TASKS + text) == [line]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("tasks:\n  words: {}", "r.yaml:2: tasks.words.manifest: missing, expected a value"),
        ("tasks:\n  words: {manifest: 3}", "r.yaml:2: tasks.words.manifest: got 3, expected a valid string"),
        (
            "tasks:\n  words:\n    manifest: m.csv\n    lable: x",
            "r.yaml:4: tasks.words.lable: unknown key, did you mean 'label'?",
        ),
        ("seed: 1", "r.yaml:1: tasks: missing, expected a value"),
    ],
)
def test_a_mistake_in_a_task_is_told_with_its_name(tmp_path: Path, text: str, line: str) -> None:
    assert problems(tmp_path, text) == [line]


@pytest.mark.parametrize("name", ["a b", "a-b", "3a", "a.b", "''"])
def test_a_task_whose_name_cannot_be_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    (line,) = problems(tmp_path, f"tasks:\n  good: {{manifest: m.csv}}\n  {name}: {{manifest: m.csv}}")
    assert line.startswith("r.yaml:3: tasks")


MANY = """\
tasks:
  words: {manifset: m.csv}
model:
  ramp: insde
  width: -1
training:
  steps: yes
extra: 1
"""


@pytest.mark.parametrize(
    "place",
    [
        "r.yaml:2: tasks.words.manifset: ",
        "r.yaml:2: tasks.words.manifest: ",
        "r.yaml:4: model.ramp: ",
        "r.yaml:5: model.width: ",
        "r.yaml:7: training.steps: ",
        "r.yaml:8: extra: ",
    ],
)
def test_every_mistake_is_told_at_once(tmp_path: Path, place: str) -> None:
    lines = problems(tmp_path, MANY)
    assert len(lines) == 6
    assert [line for line in lines if line.startswith(place)]


def test_a_contradiction_is_told_beside_mistakes_elsewhere(tmp_path: Path) -> None:
    lines = problems(tmp_path, f"{TASKS}model: {{width: -1}}\nfrontend: {{n_fft: 256}}\n")
    assert [line.split(": ")[1] for line in lines] == ["frontend", "model.width"]


# settings from the command line


@pytest.mark.parametrize(
    ("setting", "section", "key", "value"),
    [
        ("model.width=0.25", "model", "width", 0.25),
        (" model.width = 0.25", "model", "width", 0.25),
        ("training.learning_rate=1e-4", "training", "learning_rate", 1e-4),
        ("model.stride_time=[1, 1, 1, 1, 1, 1]", "model", "stride_time", (1.0,) * 6),
        ("model.stride_time=random", "model", "stride_time", "random"),
        ("model={width: 0.5}", "model", "width", 0.5),
        ("data.cache_dir=null", "data", "cache_dir", None),
        ("training.gradient_clip=2", "training", "gradient_clip", 2.0),
    ],
)
def test_a_setting_is_applied(tmp_path: Path, setting: str, section: str, key: str, value: object) -> None:
    assert getattr(getattr(load(tmp_path, TASKS, setting), section), key) == value


def test_a_setting_goes_before_the_file(tmp_path: Path) -> None:
    assert load(tmp_path, f"{TASKS}model: {{width: 2, dropout: 0.1}}", "model.width=3").model.width == 3
    assert load(tmp_path, f"{TASKS}model: {{width: 2, dropout: 0.1}}", "model.width=3").model.dropout == 0.1


def test_the_last_setting_counts(tmp_path: Path) -> None:
    assert load(tmp_path, TASKS, "seed=1", "seed=2").seed == 2


def test_a_setting_repairs_a_mistake_of_the_file(tmp_path: Path) -> None:
    assert load(tmp_path, f"{TASKS}model: {{width: -1}}", "model.width=1").model.width == 1


def test_a_setting_makes_a_task(tmp_path: Path) -> None:
    recipe = load(tmp_path, TASKS, "tasks.pitch.manifest=n.csv", "tasks.pitch.label=pitch")
    assert list(recipe.tasks) == ["words", "pitch"]
    assert recipe.tasks["pitch"].label == "pitch"


def test_settings_alone_make_a_recipe(tmp_path: Path) -> None:
    assert list(load(tmp_path, "", "tasks.words.manifest=m.csv").tasks) == ["words"]


def test_a_setting_leaves_an_aliased_section_alone(tmp_path: Path) -> None:
    text = "tasks:\n  a: &a {manifest: m.csv}\n  b: *a\n"
    recipe = load(tmp_path, text, "tasks.b.label=other")
    assert (recipe.tasks["a"].label, recipe.tasks["b"].label) == ("label", "other")


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("modle.width=1", "modle: unknown key, did you mean 'model'?"),
        ("model.widht=1", "model.widht: unknown key, did you mean 'width'?"),
        ("model.width=-1", "model.width: got -1, expected greater than 0"),
        ("model.ramp=insde", "model.ramp: got 'insde', did you mean 'inside'?"),
        ("training.steps=true", "training.steps: got True, expected a valid integer"),
        ("model.width=", "model.width: got None, expected a valid number"),
        ("tasks.new.label=x", "tasks.new.manifest: missing, expected a value"),
        ("model=3", "model: got 3, expected a valid dictionary or instance of Model"),
    ],
)
def test_a_mistake_in_a_setting_is_told_with_the_setting(tmp_path: Path, setting: str, told: str) -> None:
    assert problems(tmp_path, TASKS, setting) == [f"--set {setting}: {told}"]


@pytest.mark.parametrize("setting", ["model.width", "", "=3", "model..width=3", ".width=3", "model.=3"])
def test_what_is_no_setting_is_told_with_an_example(tmp_path: Path, setting: str) -> None:
    assert problems(tmp_path, TASKS, setting) == [f"--set {setting}: expected key=value, as in model.width=0.25"]


@pytest.mark.parametrize(
    "setting",
    [
        "seed.width=3",
        "tasks.words.label.x=3",
        "model.stride_time.0=3",
        "model.width=[1, 2",
        "model.width=!!bool x",
        "model.width=&a [*a]",
        "model=&a {width: *a}",
        "tasks=&a {x: *a}",
        "model={1: 2}",
        pytest.param("model.width=" + "[" * 600, id="deep"),
    ],
)
def test_a_setting_that_cannot_be_is_told(tmp_path: Path, setting: str) -> None:
    assert problems(tmp_path, f"{TASKS}seed: 1", setting)[0].startswith(f"--set {setting}: ")


def test_mistakes_of_file_and_settings_are_told_at_once(tmp_path: Path) -> None:
    lines = problems(tmp_path, f"{TASKS}model: {{width: -1}}", "model.ramp=insde")
    assert [line.split(": ")[0] for line in lines] == ["r.yaml:3", "--set model.ramp=insde"]


# files that are no recipe


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12)
)

NO_RECIPE: dict[str, bytes] = {
    "empty": b"",
    "comment": b"# nothing yet\n",
    "list": b"- tasks\n- model\n",
    "text": b"just text\n",
    "number": b"3\n",
    "null": b"~\n",
    "binary": b"\x80\x81\x00\xff",
    "every byte": bytes(range(256)),
    "NUL": b"tasks: \x00\n",
    "two documents": b"tasks: {}\n---\ntasks: {}\n",
    "duplicate key": TASKS.encode() + b"seed: 1\nseed: 2\n",
    "recursive list": b"tasks: &a [*a]\n",
    "recursive mapping": b"&a {tasks: *a}\n",
    "bomb": BOMB.encode(),
    "deep list": b"tasks: " + b"[" * 600,
    "deep mapping": b"{tasks: " * 600,
    "deep and closed": b"tasks: " + b"[" * 150 + b"]" * 150,
    "unclosed": b"tasks: {words: {manifest: m.csv}\n",
    "tab": b"tasks:\n\twords: x\n",
    "key no text": b"3: x\n",
    "foreign object": b"tasks: !!python/name:os.system\n",
    "no boolean": TASKS.encode() + b"model: {shared: !!bool x}\n",
    "no integer": TASKS.encode() + b"seed: !!int ''\n",
    "no time": TASKS.encode() + b"seed: !!timestamp x\n",
    "no date": TASKS.encode() + b"seed: 2020-99-99\n",
    "huge integer": TASKS.encode() + b"seed: " + b"9" * 5000 + b"\n",
    "no home": b"tasks:\n  words: {manifest: ~nobody-of-this-name/m.csv}\n",
}


@pytest.mark.parametrize("what", NO_RECIPE)
def test_what_is_no_recipe_is_told_with_its_path(tmp_path: Path, what: str) -> None:
    (tmp_path / "r.yaml").write_bytes(NO_RECIPE[what])
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'r.yaml'}:")):
        load_recipe(tmp_path / "r.yaml")


@pytest.mark.parametrize(
    ("name", "problem"), [("none.yaml", "no such file"), ("none/r.yaml", "no such file"), (".", "cannot be read")]
)
def test_a_file_that_cannot_be_read_is_told_with_its_path(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / name}: {problem}")):
        load_recipe(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- a\n", "r.yaml:1: expected keys such as tasks, model and training, got ['a']"),
        (f"{TASKS}seed: 1\nseed: 2\n", "r.yaml:4: the key 'seed' stands twice in one mapping"),
        (f"{TASKS}model: {{width: 1, width: 2}}\n", "r.yaml:3: the key 'width' stands twice in one mapping"),
        ("", "r.yaml:1: tasks: missing, expected a value"),
    ],
)
def test_a_file_of_another_structure_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    assert problems(tmp_path, text) == [told]


@pytest.mark.parametrize("content", [("\ufeff" + TASKS).encode(), TASKS.replace("\n", "\r\n").encode()])
def test_a_recipe_of_another_editor_is_fine(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.yaml").write_bytes(content)
    assert list(load_recipe(tmp_path / "r.yaml").tasks) == ["words"]


# the object


@pytest.mark.parametrize(("section", "key"), [("model", "width"), ("training", "steps"), ("data", "cache_dir")])
def test_a_recipe_cannot_be_changed(tmp_path: Path, section: str, key: str) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(getattr(load(tmp_path), section), key, 1)


def test_a_section_cannot_be_replaced(tmp_path: Path) -> None:
    recipe: Any = load(tmp_path)
    with pytest.raises(ValidationError, match="frozen"):
        recipe.model = recipe.model


@pytest.mark.parametrize(
    ("written", "expected"),
    [("data/m.csv", "{cwd}/data/m.csv"), ("/data/m.csv", "/data/m.csv"), ("~/m.csv", "{home}/m.csv")],
)
def test_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, expected: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    text = f"tasks:\n  words: {{manifest: {written}, root: {written}}}\ndata: {{cache_dir: {written}}}\n"
    recipe = load(tmp_path, text)
    absolute = expected.format(cwd=tmp_path, home=tmp_path / "home")
    assert recipe.tasks["words"].manifest == absolute
    assert recipe.tasks["words"].root == absolute
    assert recipe.data.cache_dir == absolute


def test_paths_not_given_stay_so(tmp_path: Path) -> None:
    recipe = load(tmp_path)
    assert (recipe.tasks["words"].root, recipe.data.cache_dir) == (None, None)


def test_a_recipe_written_out_is_the_same_recipe(tmp_path: Path) -> None:
    recipe = load(tmp_path, f"{TASKS}model: {{stride_time: random, width: 0.5}}")
    assert Recipe.model_validate(recipe.model_dump()) == recipe


# recipes that extend others


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_recipe_that_extends_another_differs_in_what_it_says(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", f"{TASKS}model: {{width: 0.5, ramp: inside}}\ntraining: {{steps: 9}}\n")
    path = write(tmp_path, "sub/r.yaml", "extends: ../base.yaml\nmodel:\n  width: 0.25\nseed: 3\n")
    recipe = load_recipe(path)
    assert (recipe.model.width, recipe.model.ramp, recipe.training.steps, recipe.seed) == (0.25, "inside", 9, 3)
    assert list(recipe.tasks) == ["words"]


def test_a_list_replaces_a_list(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", f"{TASKS}model: {{stride_time: [1, 1, 1, 1, 1, 1]}}\n")
    path = write(tmp_path, "r.yaml", "extends: base.yaml\nmodel: {stride_time: [2, 1, 1, 1, 1, 3]}\n")
    assert load_recipe(path).model.stride_time == (2, 1, 1, 1, 1, 3)


def test_null_removes_what_is_extended(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", f"{TASKS}frontend: {{top_db: 40}}\nmodel: {{width: 0.5}}\n")
    tasks = "tasks: {words: null, birds: {manifest: b.csv}}"
    path = write(tmp_path, "r.yaml", f"extends: base.yaml\n{tasks}\nmodel: null\nfrontend: {{top_db: null}}\n")
    recipe = load_recipe(path)
    assert (list(recipe.tasks), recipe.model.width, recipe.frontend.top_db) == (["birds"], 1.0, None)


def test_null_does_not_hide_an_unknown_key(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", TASKS)
    path = write(tmp_path, "r.yaml", "extends: base.yaml\nmodle: null\n")
    with pytest.raises(UserError, match=r"r\.yaml:2: modle: unknown key"):
        load_recipe(path)


def test_extended_recipes_may_extend_others_and_set_comes_last(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", f"{TASKS}model: {{width: 0.5}}\nseed: 1\n")
    write(tmp_path, "b.yaml", "extends: a.yaml\nseed: 2\n")
    path = write(tmp_path, "r.yaml", "extends: b.yaml\n")
    recipe = load_recipe(path, ["model.width=2"])
    assert (recipe.seed, recipe.model.width) == (2, 2.0)


@pytest.mark.parametrize(
    ("upper", "told"),
    [
        ("model:\n  ramp: inside\n", "base.yaml:5: model.width: got -1, expected greater than 0"),
        ("model:\n  width: -2\n", "r.yaml:3: model.width: got -2, expected greater than 0"),
        ("model:\n  width: 1\n  rmap: 1\n", "r.yaml:4: model.rmap: unknown key, did you mean 'ramp'?"),
        ("model: 3\n", "r.yaml:2: model: got 3, expected a valid dictionary or instance of Model"),
    ],
)
def test_errors_point_to_the_file_that_holds_the_value(tmp_path: Path, upper: str, told: str) -> None:
    write(tmp_path, "base.yaml", f"{TASKS}\nmodel:\n  width: -1\n")
    path = write(tmp_path, "r.yaml", f"extends: base.yaml\n{upper}")
    with pytest.raises(UserError) as caught:
        load_recipe(path)
    assert str(caught.value).replace(f"{tmp_path}/", "") == told


@pytest.mark.parametrize(
    ("extends", "told"),
    [
        ("none.yaml", "r.yaml:1: extends: none.yaml: no such file"),
        pytest.param("x" * 300, f"r.yaml:1: extends: {'x' * 300}: no such file", id="a name that is too long"),
        ("r.yaml", "r.yaml:1: extends: r.yaml extends this recipe in turn"),
        ("ring.yaml", "ring.yaml:1: extends: r.yaml extends this recipe in turn"),
        ("3", "r.yaml:1: extends: got 3, expected the path of another recipe, relative to this one"),
        ("broken.yaml", "broken.yaml:2: not YAML"),
    ],
)
def test_what_cannot_be_extended_is_told(tmp_path: Path, extends: str, told: str) -> None:
    write(tmp_path, "ring.yaml", "extends: r.yaml\n")
    write(tmp_path, "broken.yaml", "a: 1\n}\n")
    path = write(tmp_path, "r.yaml", f"extends: {extends}\n")
    with pytest.raises(UserError) as caught:
        load_recipe(path)
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(told)


def test_a_mistake_of_several_keys_is_told_at_a_key_that_is_there(tmp_path: Path) -> None:
    text = "tasks: {a: {manifest: m.csv}}\nmodel:\n  width: 0.5\n  stride_low: 5\n  stride_high: 3\n"
    assert problems(tmp_path, text)[0].startswith("r.yaml:4: model: stride_low=5 exceeds")


def test_a_long_chain_of_recipes_is_refused(tmp_path: Path) -> None:
    for i in range(1500):
        (tmp_path / f"{i}.yaml").write_text(f"extends: {i + 1}.yaml\n")
    (tmp_path / "1500.yaml").write_text("tasks: {a: {manifest: m.csv}}\n")
    with pytest.raises(UserError, match="a chain of more than 50 recipes"):
        load_recipe(tmp_path / "0.yaml")


# dictionaries


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"tasks": {"words": {"manifest": "m.csv"}}, "model": {"bakbone": "x"}, "training": {"steps": -1}},
            [
                "model.bakbone: unknown key, did you mean 'backbone'?",
                "training.steps: got -1, expected greater than or equal to 1",
            ],
        ),
        (
            {"model": {"downsampling": "difstride"}},
            [
                "tasks: missing, expected a value",
                "model.downsampling: got 'difstride', did you mean 'diffstride'?",
            ],
        ),
        (
            {"tasks": {"words": {"manifest": "m.csv"}}, "data": {"window_s": 0.001}},
            ["recipe: data.window_s=0.001 is shorter than frontend.win_length"],
        ),
        ([1], ["recipe: got [1], expected a valid dictionary or instance of Recipe"]),
    ],
)
def test_mistakes_in_a_dictionary_are_told_as_those_of_a_file(values: Any, expected: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        recipe_of(values)
    assert str(caught.value).split("\n") == expected
