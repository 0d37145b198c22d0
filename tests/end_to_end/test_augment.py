"""From one face to an analysis, and from rare ages to filled ones, a trained model and averaged predictions."""

import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from drawn_face import draw_face, save
from jaxtyping import Float32
from omegaconf import OmegaConf
from PIL import Image
from terminal import AGES, SPLIT, Terminal, draw_people, table

from vec2uage.augmentation.augment_settings import check_augmentation
from vec2uage.augmentation.source_faces import settings_of
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.data import storage
from vec2uage.faces.crop import crop
from vec2uage.faces.records import Face

# Table 1 of the paper, in its order in conf/augmentation/table1.yaml.
PAPER = {
    "flip": "0.8599",
    "brightness": "0.6845",
    "rotation": "0.6656",
    "random_zoom": "0.7856",
    "random_distortion": "0.8728",
    "random_colour": "0.5609",
    "random_contrast": "0.3341",
    "random_erasing": "0.9837",
}
DRAWS, PER_AGE = 6, 8
ONE_FACE = ["path=face.png", "detector=none", f"draws={DRAWS}"]
KNOWN = ["path=face.png", "detector=none", "draws=2", "store=analysis.sqlite"]  # its vectors were made before
SOURCE = ["source=visage", "source.path=photos", *SPLIT, "detector=none"]
PUBLISHED = ["augmentation=published", f"augmentation.train_per_age={PER_AGE}"]
PICTURED = [*PUBLISHED, "augmentation.images=jpeg"]
SET = ["dataset=prepared", "dataset.path=outputs/prepared/visage"]
SHEAR = (
    "+augmentation.op.shear={_target_: vec2uage.augmentation.ops.AugmentorOperation, probability: 1.0, "
    "operation_class: Shear, options: {max_shear_left: 5, max_shear_right: 5}}"
)
PRESET = """
defaults:
  - table1
  - _self_
name: mine
op:
  rotation:
    angle: 7
"""


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A folder with a face, photographs of three ages, and the set `visage` of these, filled up to 8 faces an age."""
    made = Terminal(tmp_path_factory.mktemp("home"))
    save(made.folder / "face.png", draw_face(160))
    (made.folder / "text.txt").write_text("no picture")
    draw_people(made.folder / "photos")
    done, analysed = at_once(
        made,
        ("prepare", *SOURCE, *PICTURED, "workers=2"),
        ("augment", *ONE_FACE, "hydra.run.dir=analysis", "store=analysis.sqlite"),
    )
    (made.folder / "prepared.txt").write_text(done.stdout)
    (made.folder / "analysed.txt").write_text(analysed.stdout)
    return made


def at_once(terminal: Terminal, *commands: tuple[str, ...]) -> list[subprocess.CompletedProcess[str]]:
    """Run commands that have to succeed side by side, as most of their time is one core's."""
    with ThreadPoolExecutor(2) as threads:
        finished = list(threads.map(lambda command: terminal.run(*command), commands))
    for done in finished:
        assert done.returncode == 0, done.stderr
    return finished


@pytest.fixture(scope="module")
def analysis(terminal: Terminal) -> str:
    """What the analysis of one face prints; its files are in the folder `analysis`."""
    return (terminal.folder / "analysed.txt").read_text()


@pytest.fixture(scope="module")
def run(terminal: Terminal) -> str:
    """What training prints as it was told to by the line that `prepare` ended with; its files are in `run`."""
    told = [line for line in (terminal.folder / "prepared.txt").read_text().splitlines() if line.startswith("train")]
    python, module, train, *arguments = shlex.split(told[-1].removeprefix("train"))
    assert (python, module, train) == ("python", "-m", "vec2uage.train")
    # a few large steps, so that predictions differ between faces
    done = terminal.run("train", *arguments, "trainer.max_epochs=20", "optimizer.lr=0.01", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture
def copy(terminal: Terminal) -> Iterator[Path]:
    """A copy of the set that a test may change; commands know it as `outputs/prepared/copy`."""
    folder = terminal.prepared("copy")
    shutil.copytree(terminal.prepared(), folder)
    yield folder
    shutil.rmtree(folder)


def augmented(prepared: Path, name: str = "published") -> Path:
    return prepared / "augmented" / name


def files(folder: Path) -> dict[str, bytes]:
    """Return what a folder of augmented faces holds, without augmented.json, which names a moment and a machine."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if path.suffix in (".arrow", ".csv", ".jpg")}


def stamps(folder: Path) -> dict[str, int]:
    written = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".log", "")]
    return {str(path): path.stat().st_mtime_ns for path in written}


def refusal(terminal: Terminal, command: str, *arguments: str) -> str:
    """Run a command that has to be refused before it says anything else; return its one sentence."""
    done = terminal.run(command, *arguments)
    assert done.returncode == 1, done.stdout
    assert done.stdout == ""
    assert re.fullmatch(r"error: .*\n", done.stderr), done.stderr
    return done.stderr


def last_sentence(terminal: Terminal, command: str, *arguments: str) -> str:
    """Run a command that is refused after it looked at data; return the sentence that its messages end with."""
    done = terminal.run(command, *arguments)
    assert done.returncode == 1, done.stdout
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("error: ")
    assert done.stderr.count("error: ") == 1
    return sentence


def printed(out: str) -> dict[str, str]:
    """Return the lines of a printed analysis by their operations, in order."""
    lines = out.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("operation")) + 1
    last = next(number for number, line in enumerate(lines) if line.startswith("above:"))
    return {line.split()[0]: line for line in lines[first:last]}


def test_the_analysis_of_a_face_stands_beside_the_papers_table(analysis: str) -> None:
    lines = printed(analysis)
    assert list(lines) == [*PAPER, "one"]
    for operation, paper in PAPER.items():
        assert lines[operation].split()[-1] == paper
    assert lines["one"].endswith("%")  # the paper has no number for all operations together
    assert "6 draws of each operation, from 1 face; facenet-20180408-102900-" in analysis
    assert "analysis/analysis.csv" in analysis


def test_the_table_sums_up_the_cosines_beside_it(terminal: Terminal, analysis: str) -> None:
    folder = terminal.folder / "analysis"
    cosines, rows = table(folder / "cosines.csv"), table(folder / "analysis.csv")
    assert Counter(row["operation"] for row in cosines) == dict.fromkeys((*PAPER, "one of them"), DRAWS)
    assert {row["face"] for row in cosines} == {"face.png"}
    assert [row["operation"] for row in rows] == [*PAPER, "one of them"]
    lines = printed(analysis)
    for row in rows:
        values = np.array([float(c["cosine"]) for c in cosines if c["operation"] == row["operation"]])
        found = {name: float(row[name]) for name in ("mean", "std", "low", "high", "above", "below", "band")}
        low, high = np.quantile(values, [0.025, 0.975])
        expected = {
            "mean": values.mean(), "std": values.std(ddof=1), "low": low, "high": high, "above": (values >= 0.6).mean(),
            "below": (values <= 0.6).mean(), "band": ((values >= 0.6) & (values <= 0.95)).mean(),
        }  # fmt: skip
        assert found == pytest.approx(expected, abs=3e-6)  # both files are rounded
        assert (int(row["n"]), row["ages"]) == (DRAWS, "all")
        assert f"{found['mean']:.3f}" in lines[row["operation"].split()[0]]
    # chance is in a rotation, none in doubling the brightness
    assert np.ptp([float(row["cosine"]) for row in cosines if row["operation"] == "rotation"]) > 0.01
    assert np.ptp([float(row["cosine"]) for row in cosines if row["operation"] == "brightness"]) == 0


def test_the_figures_show_something(terminal: Terminal, analysis: str) -> None:
    violin, grid = (
        Image.open(terminal.folder / "analysis" / f"{name}.png").convert("RGB") for name in ("violin", "grid")
    )
    assert np.asarray(violin).std() > 10
    # the face, eight operations and all of them together; more than half of the picture is faces
    assert grid.width > 5 * grid.height
    assert (np.asarray(grid) < 250).any(axis=2).mean() > 0.5


@pytest.mark.slow
def test_the_same_analysis_without_any_earlier_result_is_the_same_to_the_byte(
    terminal: Terminal, analysis: str
) -> None:
    again = terminal.run("augment", *ONE_FACE, "hydra.run.dir=again", "store=fresh.sqlite", "workers=1")
    assert again.returncode == 0, again.stderr
    for name in ("analysis.csv", "cosines.csv"):
        assert (terminal.folder / "again" / name).read_bytes() == (terminal.folder / "analysis" / name).read_bytes()


@pytest.mark.slow
def test_an_operation_of_ones_own_is_analysed_with_the_others(terminal: Terminal) -> None:
    done = terminal.run("augment", *KNOWN, SHEAR, "hydra.run.dir=shear")
    assert done.returncode == 0, done.stderr
    assert list(printed(done.stdout)) == [*PAPER, "shear", "one"]
    assert "Shear max_shear_left=5 max_shear_right=5" in printed(done.stdout)["shear"]
    cosines = [
        float(row["cosine"]) for row in table(terminal.folder / "shear/cosines.csv") if row["operation"] == "shear"
    ]
    assert all(0.5 < value < 0.9999 for value in cosines)  # it happens to the face, and leaves a face


@pytest.mark.slow
def test_a_preset_of_ones_own_is_analysed_on_the_training_faces_of_a_set(terminal: Terminal) -> None:
    presets = terminal.folder / "presets" / "augmentation"
    presets.mkdir(parents=True)
    (presets / "mine.yaml").write_text(PRESET)
    done = terminal.run(
        "augment", "--config-dir=presets", "augmentation=mine", "path=outputs/prepared/visage", f"draws={DRAWS}",
        "age_bands=[[1,2],[3,3]]", "hydra.run.dir=mine",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "angle=7" in printed(done.stdout)["rotation"]
    rotations = [row for row in table(terminal.folder / "mine/cosines.csv") if row["operation"] == "rotation"]
    train = storage.load(terminal.prepared() / "train.arrow")
    assert {row["face"] for row in rotations} <= set(train.names)
    # as many faces as there are draws, and all ages alike
    assert len({row["face"] for row in rotations}) == DRAWS
    assert Counter(row["age"] for row in rotations) == {"1": 2, "2": 2, "3": 2}
    bands = {row["ages"]: row for row in table(terminal.folder / "mine/analysis.csv") if row["operation"] == "rotation"}
    assert {ages: row["n"] for ages, row in bands.items()} == {"all": "6", "1-2": "4", "3-3": "2"}
    young = np.mean([float(row["cosine"]) for row in rotations if row["age"] in ("1", "2")])
    assert float(bands["1-2"]["mean"]) == pytest.approx(young, abs=2e-6)


@pytest.mark.slow
def test_a_sweep_has_a_folder_for_each_job_and_one_table_above_them(terminal: Terminal) -> None:
    done = terminal.run("augment", "-m", *KNOWN, "augmentation.op.rotation.angle=5,25")
    assert done.returncode == 0, done.stderr
    told = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("sweep:")][-1]
    summary = terminal.folder / told
    rows = table(summary)
    jobs = dict.fromkeys(row["job"] for row in rows)
    assert {row["job"]: row["options"] for row in rows if row["operation"] == "rotation"} == dict(
        zip(jobs, ("angle=5", "angle=25"), strict=True)
    )
    for job in jobs:
        own = table(summary.parent / job / "analysis.csv")
        assert [{"job": job, **row} for row in own] == [row for row in rows if row["job"] == job]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["path=nowhere.png"], "nowhere.png: no such photograph or folder"),
        (["path=text.txt"], "text.txt: no face in 1 file (1 unreadable; no image"),
        (["path=face.png", "augmentation.op.rotatoin.angle=3"], "augmentation.op.rotatoin.angle = 3: no such option"),
        (["path=face.png", "augmentation.op.rotation.angle=30"], "augmentation.op.rotation.angle = 30: should be less"),
        (["path=face.png", "draws=0"], "draws = 0: should be greater than or equal to 1"),
        (["path=outputs/prepared/visage", "detector=mtcnn"], "detector=mtcnn: the faces of outputs/prepared"),
        (["path=photos", "task=generate", "augmentation=published"], "photos: no folder that vec2uage.prepare wrote"),
    ],
)  # fmt: skip
def test_what_cannot_be_augmented_is_refused_in_a_sentence(
    terminal: Terminal, arguments: list[str], message: str
) -> None:
    assert message in refusal(terminal, "augment", *arguments)


def test_an_operation_without_its_class_is_refused_by_the_name_that_was_typed(terminal: Terminal) -> None:
    done = terminal.run("augment", "path=face.png", "+augmentation.op.rotatoin.angle=3")
    assert done.returncode == 1
    assert "augmentation.op: rotatoin is no operation of this augmentation (flip, brightness" in done.stderr


def test_every_age_is_filled_with_augmented_training_faces(terminal: Terminal) -> None:
    prepared = terminal.prepared()
    parts = {part: storage.load(prepared / f"{part}.arrow") for part in ("train", "validation", "test")}
    filled = storage.load(augmented(prepared) / "train.arrow")
    assert Counter(filled.ages.tolist()) == dict.fromkeys(AGES, PER_AGE)
    photographed = len(parts["train"])
    assert filled.names[:photographed].tolist() == parts["train"].names.tolist()
    np.testing.assert_array_equal(filled.vectors[:photographed], parts["train"].vectors)
    assert filled.encoder == parts["train"].encoder

    lines = table(augmented(prepared) / "children.csv")
    assert [row["name"] for row in lines] == filled.names[photographed:].tolist()
    assert [row["parent"] for row in lines] == filled.parents[photographed:].tolist()
    assert {row["parent"] for row in lines} <= set(parts["train"].names)
    assert not {row["parent"] for row in lines} & {*parts["validation"].names, *parts["test"].names}
    # the three faces of an age take turns: five augmented ones are 2 + 2 + 1
    assert sorted(Counter(row["parent"] for row in lines).values()) == [1, 1, 1, 2, 2, 2, 2, 2, 2]

    row_of = {name: row for row, name in enumerate(filled.names)}
    sha256 = {row["name"]: row["sha256"] for row in terminal.rows()}
    for line in lines:
        mine, source = row_of[line["name"]], row_of[line["parent"]]
        assert float(line["age"]) == filled.ages[mine] == filled.ages[source]
        assert line["parent_sha256"] == sha256[line["parent"]]
        a, b = filled.vectors[mine].astype(float), filled.vectors[source].astype(float)
        cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        assert float(line["cosine"]) == pytest.approx(cosine, abs=2e-6)
        assert 0.3 < cosine < 0.99999  # something was done to the face, and it is still this one
        assert "rotation(angle=5)" in line["operations"]  # has probability 1 in this preset
    assert len(np.unique(filled.vectors, axis=0)) == len(filled)


def test_the_printed_train_command_trains_on_as_many_faces_of_every_age(terminal: Terminal, run: str) -> None:
    assert f"{PER_AGE * len(AGES)} rows to train on, 3 for validation, 3 for test" in run
    assert json.loads((terminal.folder / "run/result.json").read_text())["status"] == "completed"
    tested = [row["name"] for row in table(terminal.folder / "run/predictions.csv")]
    assert tested == storage.load(terminal.prepared() / "test.arrow").names.tolist()


def test_the_same_prepare_again_finds_nothing_new_and_writes_nothing(terminal: Terminal) -> None:
    before = stamps(terminal.prepared())
    again = terminal.run("prepare", *SOURCE, *PICTURED, "workers=1")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("nothing new") == 2  # of the set, of the augmented faces
    assert "faces to make" not in again.stderr
    assert again.stdout == (terminal.folder / "prepared.txt").read_text()
    assert stamps(terminal.prepared()) == before


@pytest.mark.slow
def test_faces_depend_on_no_process_and_no_command(terminal: Terminal, copy: Path) -> None:
    shutil.rmtree(copy / "augmented")
    done = terminal.run(
        "augment", "task=generate", "path=outputs/prepared/copy", *PICTURED, "workers=1", "store=alone.sqlite"
    )
    assert done.returncode == 0, done.stderr
    assert "15 faces to make" in done.stderr
    made = files(augmented(copy))
    assert made == files(augmented(terminal.prepared()))
    assert len(made) == 2 + 15  # train.arrow, children.csv and a picture of every face


@pytest.mark.slow
def test_other_options_need_another_name_or_overwrite(terminal: Terminal, copy: Path) -> None:
    before = stamps(copy)
    command = ["prepare", *SOURCE, *PICTURED, "augmentation.seed=1", "output=outputs/prepared/copy"]
    sentence = last_sentence(terminal, *command, "augmentation.op.rotation.angle=6")
    assert (
        "made with other options (augmentation.seed: 0 there, 1 now; augmentation.op.rotation.angle: 5 there, 6 now"
        in sentence
    )
    assert "augmentation.name=" in sentence
    assert "overwrite=true" in sentence
    assert stamps(copy) == before

    replaced = terminal.run(*command, "overwrite=true")
    assert replaced.returncode == 0, replaced.stderr
    assert {row["seed"] for row in table(augmented(copy) / "children.csv")} == {"1"}
    now, then = files(augmented(copy)), files(augmented(terminal.prepared()))
    assert now["train.arrow"] != then["train.arrow"]
    # pictures of the first seed are gone
    assert {name for name in now if name.endswith(".jpg")} == pictures(augmented(copy))
    assert len(pictures(augmented(copy)) - then.keys()) == 15


@pytest.mark.slow
def test_pictures_that_are_no_longer_wanted_do_not_stay_behind(terminal: Terminal, copy: Path) -> None:
    done = terminal.run("augment", "task=generate", "path=outputs/prepared/copy", *PUBLISHED)
    assert done.returncode == 0, done.stderr
    assert not list(augmented(copy).rglob("*.jpg"))
    kept, then = (files(augmented(folder))["train.arrow"] for folder in (copy, terminal.prepared()))
    assert kept == then


def pictures(folder: Path) -> set[str]:
    return {row["image"] for row in table(folder / "children.csv")}


def test_every_augmented_face_has_its_picture_in_the_size_of_the_crop(terminal: Terminal) -> None:
    folder = augmented(terminal.prepared())
    named = pictures(folder)
    assert len(named) == 15
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")} == named
    for line in table(folder / "children.csv"):
        with Image.open(folder / line["image"]) as picture:
            assert (picture.format, picture.size) == ("JPEG", (224, 224))
        assert Path(line["image"]).parent.name == f"{int(line['age']):02d}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["augmentation=balance", *SPLIT], "makes no faces, and only training uses it"),
        (["augmentation=published", "split=none"], "split=none leaves no training part to augment"),
    ],
)
def test_prepare_refuses_what_it_cannot_augment_before_any_work(
    terminal: Terminal, options: list[str], message: str
) -> None:
    output = ["output=outputs/prepared/refused", "store=refused.sqlite"]
    arguments = ["source=visage", "source.path=photos", "detector=none", *options, *output]
    assert message in refusal(terminal, "prepare", *arguments)
    assert not (terminal.folder / "refused.sqlite").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dataset=synthetic", "dataset.size=small", "split.heldout_per_age=20"], "needs the faces of photographs"),
        (
            [*SET, "augmentation.name=none_made"],
            "vec2uage.augment task=generate path=outputs/prepared/visage with these",
        ),
    ],
)
def test_training_says_how_to_get_the_faces_it_lacks(terminal: Terminal, arguments: list[str], message: str) -> None:
    assert message in last_sentence(terminal, "train", *PUBLISHED, *arguments, "hydra.run.dir=lacking")


@pytest.mark.slow
def test_augmented_faces_stay_on_the_side_of_their_sources_when_their_file_is_divided(terminal: Terminal) -> None:
    path = augmented(terminal.prepared()) / "train.arrow"
    done = terminal.run(
        "train", "dataset=vectors", f"dataset.path={path}", "split.age_range=[1,3]", "split.heldout_per_age=2",
        "augmentation=none", "trainer.max_epochs=1", "hydra.run.dir=followers",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tested = [row["name"] for row in table(terminal.folder / "followers/predictions.csv")]
    assert len(tested) == len(AGES)
    assert set(tested) <= set(storage.load(terminal.prepared() / "train.arrow").names)
    # an age has three photographs and two are held out, so only the augmented faces of the third may be trained on
    trained = int(re.search(r"(\d+) rows to train on", done.stderr).group(1))  # type: ignore[union-attr]
    assert 3 + 3 <= trained <= 3 + 6


def predicted(folder: Path) -> dict[str, float]:
    return {row["name"]: float(row["prediction"]) for row in table(folder / "predictions.csv")}


@dataclass(frozen=True)
class OneProcess:
    store: str = ""
    workers: int = 1
    device: str = "cpu"


def selves(prepared: Path, name: str, count: int) -> Float32[np.ndarray, "{count} D"]:
    """Draw and embed the first augmentations of a face, from its line in faces.csv and the preset's file alone."""
    preset = OmegaConf.load(Path(conf_dir()) / "augmentation/published.yaml")
    options = OmegaConf.to_container(preset) | {"folder": None, "train_per_age": 1}
    recipe = check_augmentation(options, "augmentation", []).recipe
    extraction = settings_of(prepared, OneProcess(), trust_code=False).extraction(None)
    row = next(row for row in table(prepared / "faces.csv") if row["name"] == name)
    face = Face(*(int(row[side]) for side in ("left", "top", "right", "bottom")), float("nan"), row["detector"])
    with Image.open(prepared.parents[2] / "photos" / name) as photograph:
        whole = np.asarray(photograph.convert("RGB"))
    cut = crop(whole, face, extraction.crop)
    identity = f"{row['sha256']}/{extraction.face_key(face)}"
    drawn = [extraction.embedder.prepare(recipe.draw(cut, identity, number)) for number in range(count)]
    return extraction.embedder.open("cpu")(np.stack(drawn))


@pytest.mark.slow
def test_a_prediction_is_the_mean_over_a_face_and_its_augmented_selves(terminal: Terminal, run: str) -> None:
    from vec2uage.training.model_file import load

    options = ["checkpoint=run", *SET, "part=test"]
    at_once(terminal, *(("evaluate", *options, f"tta={count}", f"hydra.run.dir=tta{count}") for count in (0, 3)))
    for count in (0, 3):
        assert json.loads((terminal.folder / f"tta{count}/evaluation.json").read_text())["tta"] == count
    plain, averaged = predicted(terminal.folder / "tta0"), predicted(terminal.folder / "tta3")
    assert plain == predicted(terminal.folder / "run")
    model = load(terminal.folder / "run/best.safetensors")
    test = storage.load(terminal.prepared() / "test.arrow")
    for name, vector in zip(test.names, test.vectors, strict=True):
        each = model.predict(np.concatenate([vector[None], selves(terminal.prepared(), name, 3)])).median
        assert plain[name] == pytest.approx(each[0], abs=1e-5)
        assert averaged[name] == pytest.approx(each.mean(), abs=1e-5)
        assert np.ptp(each) > 1e-3  # else the mean would show nothing
        assert abs(averaged[name] - plain[name]) > 1e-4


def test_test_time_augmentation_needs_photographs(terminal: Terminal, run: str) -> None:
    path = terminal.prepared() / "test.arrow"
    options = ["dataset=vectors", f"dataset.path={path}", "tta=3", "hydra.run.dir=no_photographs"]
    sentence = last_sentence(terminal, "evaluate", "checkpoint=run", *options)
    assert "tta needs photographs: take dataset=prepared" in sentence
    assert not (terminal.folder / "no_photographs/evaluation.json").exists()


MANY = ["augmentation=published", "augmentation.train_per_age=70", "augmentation.images=jpeg", "overwrite=true"]
WANTED = 3 * 70 - 9


@pytest.fixture(scope="module")
def undisturbed(terminal: Terminal) -> dict[str, bytes]:
    """What a command that nobody disturbs makes of the set."""
    return files(augmented(generating(terminal, "undisturbed", [])))


def generating(terminal: Terminal, name: str, signals: list[tuple[signal.Signals, int]]) -> Path:
    """Fill a copy of the set from an empty store; send each signal when so many faces are made, then start anew.

    Checks that every signal comes while the command is at work, and how it ends by it. Returns the folder.
    """
    folder = terminal.prepared(name)
    shutil.copytree(terminal.prepared(), folder, ignore=shutil.ignore_patterns("augmented"))
    store = terminal.folder / f"{name}.sqlite"
    command = ["augment", "task=generate", f"path=outputs/prepared/{name}", *MANY, f"store={store.name}"]
    for which, made in signals:
        process = terminal.start(*command, own_group=True)
        while vectors_in(store) < 15 + made:  # those of the photographs come first
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        if which == signal.SIGINT:
            os.killpg(process.pid, which)
        else:
            process.send_signal(which)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in out + err, err
        assert process.returncode == (130 if which == signal.SIGINT else -which)
        if which == signal.SIGINT:
            assert "interrupted: saving what there is" in err
            assert f"what was computed is kept in {store.name}: the same command continues" in err
        assert 15 + made <= vectors_in(store) < 15 + WANTED
        assert not (augmented(folder) / "augmented.json").exists()
    before = max(vectors_in(store) - 15, 0)
    done = terminal.run(*command)
    assert done.returncode == 0, done.stderr
    assert f"{WANTED - before} faces to draw" in done.stderr.replace(",", "")
    return folder


def test_nobody_else_can_read_what_commands_have_written(terminal: Terminal, analysis: str, run: str) -> None:
    assert terminal.open_to_others("outputs", "analysis", "analysis.sqlite", "run") == []


def vectors_in(store: Path) -> int:
    try:
        connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    except sqlite3.OperationalError:  # not there yet
        return 0
    try:
        return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])
    except sqlite3.OperationalError:  # nothing in it yet
        return 0
    finally:
        connection.close()


@pytest.mark.slow
def test_a_generation_that_was_killed_continues_to_the_same_bytes(
    terminal: Terminal, undisturbed: dict[str, bytes]
) -> None:
    assert len(undisturbed) == 2 + WANTED
    folder = generating(terminal, "killed", [(signal.SIGKILL, 1), (signal.SIGKILL, 90)])
    assert files(augmented(folder)) == undisturbed


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_made_and_the_same_command_finishes(
    terminal: Terminal, undisturbed: dict[str, bytes]
) -> None:
    folder = generating(terminal, "stopped", [(signal.SIGINT, 30)])
    assert files(augmented(folder)) == undisturbed
