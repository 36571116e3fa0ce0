"""A report: one file that opens anywhere, says what it lacks, and shows names as names."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch

from audiostride.evaluation.calibration import Calibration
from audiostride.evaluation.scores import score
from audiostride.recipe.reader import load_recipe
from audiostride.report.clips import EXCERPT_S, N_WORST_IN_ALL, PLAYER_RATE_HZ, encode_mp3
from audiostride.report.figures import spectrogram
from audiostride.report.page import N_IN_PICTURE, N_IN_TABLE, ReportData, TaskReport, build_report, render_report
from audiostride.report.results import cells, confused_pairs
from audiostride.runs.checkpoint import load_run
from audiostride.training.run import train_recipe
from tests.browser import Browser
from tests.checkpoints import recalibrate
from tests.program import run as call

HOSTILE = "<script>alert('mid')</script>"
HOSTILE_FILE = '"><img src=x onerror=alert(1)>.wav'
MAX_BYTES = 5_000_000


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two tasks; a class and a recording have names that are HTML."""
    root = tmp_path_factory.mktemp("report")
    shutil.copytree(corpus.parent, root / "clips")
    (root / "clips/mid_test0.wav").rename(root / "clips" / HOSTILE_FILE)
    quoted = HOSTILE_FILE.replace('"', '""')
    text = corpus.read_text().replace("mid_test0.wav", f'"{quoted}"')
    (root / "clips/manifest.csv").write_text(re.sub(r",mid$", f",{HOSTILE}", text, flags=re.M))
    recipe = root / "tiny.yaml"
    recipe.write_text(
        f"tasks:\n"
        f"  tone: {{manifest: {root / 'clips/manifest.csv'}}}\n"
        f"  low: {{manifest: {root / 'clips/manifest.csv'}, label: is_low}}\n"
        f"data: {{cache_dir: {root / 'cache'}}}\n"
        "model: {width: 0.06, ramp: inside}\n"
        "training: {steps: 6, batch_size: 6, stride_learning_rate: 0.02, validate_every: 3, log_every: 2}\n"
    )
    for _ in train_recipe(load_recipe(recipe), root / "<u>run", torch.device("cpu")):
        pass
    return root / "<u>run"


@pytest.fixture(scope="module", autouse=True)
def _few_clips() -> Iterator[None]:
    """Two of every task, since each takes time to draw."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiostride.report.clips.N_WORST", 2)
        yield


@pytest.fixture(scope="module")
def data(run: Path) -> ReportData:
    return build_report(load_run(run), run.name)


@pytest.fixture(scope="module")
def page(data: ReportData) -> str:
    return render_report(data)


class Tags(HTMLParser):
    """Every tag with its attributes, and the addresses that the page refers to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def test_the_page_needs_nothing_else(page: str) -> None:
    addresses = [
        address
        for _, attributes in Tags(page).tags
        for name, address in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster")
    ]
    assert len(addresses) > 20
    assert all(address is not None and address.startswith(("data:", "#")) for address in addresses)
    assert "@import" not in page
    assert "url(" not in page


def test_every_anchor_is_there(page: str) -> None:
    tags = Tags(page).tags
    targets = [attributes["id"] for _, attributes in tags if "id" in attributes]
    wanted = [address[1:] for _, attributes in tags if (address := attributes.get("href") or "").startswith("#")]
    assert len(targets) == len(set(targets))
    assert set(wanted) <= set(targets)


def test_names_are_shown_as_names(page: str) -> None:
    tags = Tags(page)
    assert not tags.named("script")
    assert not tags.named("u")
    assert not [attributes for _, attributes in tags.tags if "onerror" in attributes]
    assert "&lt;script&gt;alert(&#39;mid&#39;)&lt;/script&gt;" in page
    assert "&#34;&gt;&lt;img src=x onerror=alert(1)&gt;.wav" in page
    assert "<h1>&lt;u&gt;run</h1>" in page


def test_a_reader_who_does_not_see_is_told(page: str) -> None:
    tags = Tags(page)
    assert tags.named("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in tags.named("img"))
    assert all(player["aria-label"] for player in tags.named("audio"))
    assert all(cell["scope"] in ("col", "row") for cell in tags.named("th"))


def test_both_tasks_are_whole(data: ReportData) -> None:
    assert [task.name for task in data.tasks] == ["tone", "low"]
    for task in data.tasks:
        assert task.interval[0] <= task.score.accuracy <= task.interval[1]
        assert len(task.curves) == 2
        assert len(task.worst) == 2
        assert all(clip.audio is not None for clip in task.worst)
        assert task.splits is not None
        assert [split.n_clips for split in task.splits] == [12, 6, 6]
    assert [picture.alt.split()[0] for picture in data.stride_figures] == ["Stride", "Gain", "Frames"]
    assert len(data.strides) == 12
    assert torch.__version__.startswith(data.environment["torch"])
    assert data.notes == []


def test_calibration_of_this_checkpoint_is_shown(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    recalibrate(tmp_path / "run", {})
    before = build_report(load_run(tmp_path / "run"), "run").tasks[0]
    assert (before.reliability.temperature, before.score.ece_calibrated) == (None, None)
    recalibrate(tmp_path / "run", {"tone": Calibration(3.0, 0.2, 0.1, 6)})
    after = build_report(load_run(tmp_path / "run"), "run")
    assert (after.tasks[0].reliability.temperature, after.tasks[1].reliability.temperature) == (3, None)
    assert after.tasks[0].score.ece == before.score.ece
    assert after.tasks[0].score.ece_calibrated not in (None, before.score.ece)
    assert "With the temperature 3.00" in render_report(after)


def test_a_checkpoint_alone_makes_a_report_with_notes(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "checkpoints/best.safetensors", tmp_path / "x.safetensors")
    data = build_report(load_run(tmp_path / "x.safetensors"), "x")
    assert [note.split(":")[0] for note in data.notes] == ["No curves", "Not known what it was trained with"]
    assert data.tasks[0].curves == []
    assert [picture.alt.split()[0] for picture in data.stride_figures] == ["Gain", "Frames"]
    assert "No curves: it is a checkpoint file alone" in render_report(data)


def test_damaged_files_of_the_run_are_left_out(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run/metrics.jsonl").write_bytes(
        b'\xff{"step": 3}\n{"step": 4, "strides": {"time": ["x", null]}}\n[]\n'
    )
    (tmp_path / "run/environment.json").write_text("[1")
    (tmp_path / "run/calibration.json").write_text("{}")
    data = build_report(load_run(tmp_path / "run"), "run")
    assert data.environment == {}
    assert "Not known." in render_report(data)


def test_another_manifest_is_enough(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    checkpoint = load_run(tmp_path / "run")
    missing = {"manifest": str(tmp_path / "gone.csv")}
    tasks = {name: task.model_copy(update=missing) for name, task in checkpoint.recipe.tasks.items()}
    gone = checkpoint.recipe.model_copy(update={"tasks": tasks})
    sf.write(tmp_path / "one.wav", 0.1 * np.sin(np.arange(4000)), 8000)
    (tmp_path / "m.csv").write_text("path,split,label\none.wav,mine,low\n")
    data = build_report(replace(checkpoint, recipe=gone), "run", "mine", manifest=tmp_path / "m.csv")
    task = data.tasks[0]  # of one class only
    assert (task.splits, task.score.n_files, task.worst[0].path) == (None, 1, "one.wav")
    assert "The manifest cannot be read here." in render_report(data)


def test_a_ramp_that_is_longer_than_the_map_ends_beyond(data: ReportData) -> None:
    first = data.strides[0]
    page = render_report(replace(data, strides=[replace(first, ramp_start=1.0, ramp_end=1.01 * first.half_rate)]))
    assert "<td>1 to beyond</td>" in page
    page = render_report(replace(data, strides=[replace(first, ramp_start=1.0, ramp_end=1.5)]))
    assert "<td>1 to 1.5</td>" in page


def test_fixed_strides_are_called_so(data: ReportData) -> None:
    assert "are fixed" not in render_report(data)
    page = render_report(replace(data, downsampling="strided_conv"))
    assert "are fixed: its downsampling is strided_conv" in page
    assert "aliases" in page


def test_without_an_encoder_there_are_no_players_but_a_note(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sf, "available_formats", lambda: {"WAV": "WAV"})
    data = build_report(load_run(run), "run")
    assert data.notes == ["No players: libsndfile on this machine writes no MP3."]
    assert not Tags(render_report(data)).named("audio")


def with_classes(task: TaskReport, n_classes: int) -> TaskReport:
    """The task with results of random predictions among `n_classes`."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(n_classes, (20 * n_classes,), generator=rng)
    logits = torch.randn(len(labels), n_classes, generator=rng) + 3 * torch.eye(n_classes)[labels]
    scored = score(logits, labels, torch.ones(len(labels)), tuple(f"class number {i}" for i in range(n_classes)))
    return replace(task, score=scored, cells=cells(scored), pairs=confused_pairs(scored))


@pytest.mark.parametrize("n_classes", [2, 11, N_IN_TABLE])
def test_few_classes_have_a_table_of_numbers(data: ReportData, n_classes: int) -> None:
    page = render_report(replace(data, tasks=[with_classes(data.tasks[0], n_classes)]))
    assert page.count('class="heat"') == 1
    assert page.count("--share:") == n_classes**2
    assert not Tags(page).named("svg")


@pytest.mark.parametrize("n_classes", [N_IN_TABLE + 1, 35, 128, N_IN_PICTURE])
def test_many_classes_have_a_picture(data: ReportData, n_classes: int) -> None:
    task = with_classes(data.tasks[0], n_classes)
    page = render_report(replace(data, tasks=[task]))
    (svg,) = Tags(page).named("svg")
    assert page.count('class="cell"') == sum(n > 0 for row in task.score.confusion for n in row)
    assert svg["viewbox"] == f"0 0 {svg['width']} {svg['height']}"
    assert page.count('<th scope="row" class="name"') == 2 * n_classes  # clips per split, and results


def test_too_many_classes_have_the_pairs_alone(data: ReportData) -> None:
    page = render_report(replace(data, tasks=[with_classes(data.tasks[0], N_IN_PICTURE + 1)]))
    assert not Tags(page).named("svg")
    assert "Confused most" in page


def test_a_report_of_many_tasks_and_noise_stays_small(data: ReportData) -> None:
    rng = np.random.default_rng(0)
    n_tasks = 5
    log_mel, noise = rng.standard_normal((64, 500)), rng.standard_normal(round(EXCERPT_S * PLAYER_RATE_HZ))
    clip = replace(
        data.tasks[0].worst[0],
        spectrogram=spectrogram(
            log_mel.astype(np.float32),
            np.geomspace(60, 7800, 64).tolist(),
            start_s=0,
            duration_s=5,
            window_s=(0, 1),
            alt="noise",
        ),
        audio=encode_mp3(noise.astype(np.float32), PLAYER_RATE_HZ),
    )
    task = replace(with_classes(data.tasks[0], 128), worst=[clip] * (N_WORST_IN_ALL // n_tasks))
    page = render_report(replace(data, tasks=[replace(task, name=f"task{i}") for i in range(n_tasks)]))
    assert 1_000_000 < len(page.encode()) < MAX_BYTES


def test_the_command_writes_the_page_the_same_bytes_each_time(
    run: Path, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.html").write_text("an old one")
    assert call(monkeypatch, "report", run, "--out", tmp_path / "report.html", "--device", "cpu") == 0
    assert (tmp_path / "report.html").read_text() == page
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.endswith(f"--out: {tmp_path / 'report.html'}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{run}"], 2, "--out"),
        (["{run}", "--out", "{tmp}"], 2, "a folder, expected the name of a file"),
        (["{run}", "--out", "{tmp}/none/x.html"], 2, "no such folder"),
        (["{run}", "--out", "{run}/metrics.jsonl"], 2, "which the command reads"),
        (["{run}", "--out", "{run}/calibration.json"], 2, "which the command reads"),
        (["{run}/checkpoints/best.safetensors", "--out", "{run}/recipe.yaml"], 2, "which the command reads"),
        (["{tmp}", "--out", "{tmp}/x.html"], 2, "not a run folder"),
        (["{tmp}/none", "--out", "{tmp}/x.html"], 2, "no such run"),
        (["{run}", "--out", "{tmp}/x.html", "--split", "dev"], 2, "splits: test, train, valid"),
        (["{run}", "--out", "{tmp}/x.pdf"], 2, "expected a name that ends in .html"),
        (["{run}", "--out", "{tmp}/x.html", "--checkpoint", "newest"], 2, "'newest' is not one of 'best', 'last'"),
        (["{run}", "--out", "{tmp}/x.html", "--device", "tpu"], 2, "--device tpu"),
        (["{run}", "--out", "{tmp}/x.html", "--manifest", "{tmp}/m.csv"], 1, "{tmp}/gone.wav"),
    ],
)
def test_mistakes_leave_nothing_behind(
    arguments: list[str],
    code: int,
    message: str,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "m.csv").write_text("path,split,label\ngone.wav,test,low\n")
    before = {path: path.read_bytes() for folder in (run, tmp_path) for path in folder.rglob("*") if path.is_file()}
    places = {"run": run, "tmp": tmp_path}
    assert call(monkeypatch, "report", *(argument.format(**places) for argument in arguments)) == code
    written = capsys.readouterr()
    assert message.format(**places) in written.err
    assert "Traceback" not in written.err
    assert before == {
        path: path.read_bytes() for folder in (run, tmp_path) for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
@pytest.mark.parametrize("n_classes", [15, 35])
def test_the_page_opens_offline_on_desktop_and_phone(
    browser: Browser, data: ReportData, tmp_path: Path, width: int, height: int, n_classes: int
) -> None:
    tasks = [with_classes(data.tasks[0], n_classes), data.tasks[1]]
    (tmp_path / "report.html").write_text(render_report(replace(data, tasks=tasks, name="a_long_name" * 12)))
    browser.open((tmp_path / "report.html").as_uri(), width, height)
    browser.wait_for("[...document.querySelectorAll('audio')].every(a => a.readyState >= 1 || a.error)")
    players = browser.evaluate("[...document.querySelectorAll('audio')].map(a => a.duration)")
    assert len(players) == 4
    assert all(0.5 < seconds < EXCERPT_S + 0.2 for seconds in players)
    pictures = browser.evaluate("[...document.images].map(i => i.complete ? i.naturalWidth : 0)")
    assert len(pictures) == 2 * (2 + 2 + 1 + 1) + 1 + 3
    assert all(n_pixels > 0 for n_pixels in pictures)
    assert browser.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    assert [address for address in browser.requests if not address.startswith(("data:", "file:"))] == []
    assert browser.console == []


def test_results_come_before_strides_training_and_data(page: str) -> None:
    places = [page.index(f'id="{name}"') for name in ("summary", "task-tone", "strides", "training", "setup")]
    assert places == sorted(places)


@pytest.mark.parametrize(("n_classes", "n_columns"), [((3, 2), 1), ((2, 2), 2), ((2, 3, 2), 2)])
def test_tasks_of_yes_and_no_stand_side_by_side(data: ReportData, n_classes: tuple[int, ...], n_columns: int) -> None:
    tasks = [replace(with_classes(data.tasks[0], n), name=f"task{i}") for i, n in enumerate(n_classes)]
    page = render_report(replace(data, tasks=sorted(tasks, key=lambda task: task.is_binary)))
    beside = page.partition('<div class="side-by-side">')[2].partition('<section id="strides"')[0]
    assert beside.count('<section id="task-') == (n_columns if n_columns > 1 else 0)
    assert page.count("<section") == page.count("</section>")
    assert page.count("<div") == page.count("</div>")


def test_an_accuracy_no_better_than_the_most_frequent_class_is_said(data: ReportData) -> None:
    task = data.tasks[0]
    useless = replace(task.score, accuracy=0.5, majority_accuracy=0.5, majority_class="high")
    good = replace(useless, accuracy=0.51)
    pages = [
        render_report(replace(data, tasks=[replace(task, score=score), *data.tasks[1:]])) for score in (useless, good)
    ]
    assert [page.count("no better than always &#39;high&#39;") for page in pages] == [1, 0]
