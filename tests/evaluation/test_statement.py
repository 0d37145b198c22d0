"""What a model is worth, stated beside it: the right numbers, of this very model, with what is not known of it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hydra import compose, initialize_config_dir

from vec2uage.base.csv_file import read_csv, write_csv
from vec2uage.base.errors import UserError
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.config.validate import from_config, to_container
from vec2uage.data.storage import save
from vec2uage.data.vectorset import make_vector_set
from vec2uage.evaluation import reference, statement_page
from vec2uage.evaluation.ensemble import open_ensemble
from vec2uage.evaluation.evaluate_settings import Evaluation, Foreign
from vec2uage.evaluation.run import evaluate
from vec2uage.evaluation.statement import Statement, find, open_statement, read
from vec2uage.training.calibrated import as_saved

AGES, PER_AGE = range(8, 28), 30
SPLIT = ["split.age_range=[8,27]", "split.heldout_per_age=8", "split.calibration_per_age=10"]
FITTED = ["calibrate=conformal", "minors.recall=0.9", "calibrate.bins=2"]


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave figures undrawn: they are tested elsewhere, and take most of an evaluation's time."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, file, **options: Path(file).write_bytes(b""))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, save_network: Callable[[Path], None]) -> Path:
    """A run's folder with a network that is some years off, and the faces that it was trained on."""
    folder = tmp_path_factory.mktemp("statement")
    generator = np.random.default_rng(0)
    ages = np.repeat(AGES, PER_AGE)
    vectors = np.column_stack([ages + generator.normal(0, 3, len(ages)), generator.normal(size=(len(ages), 2)) * 20])
    gender = np.where(np.arange(len(ages)) % 3 == 0, "female", "male")
    save(make_vector_set(vectors, ages, gender=gender, source="|<b>", encoder="facenet"), folder / "faces.arrow")
    (folder / "run").mkdir()
    save_network(folder / "run/best.safetensors")
    asked = composed(folder)
    (folder / "run/config.yaml").write_text(yaml.safe_dump({name: asked[name] for name in ("dataset", "split")}))
    return folder


@pytest.fixture(scope="module")
def config(home: Path) -> Any:
    """The configuration of an evaluation of the run."""
    return composed(home)


def composed(home: Path, *overrides: str) -> Any:
    register_resolvers()
    given = ["checkpoint=x", f"dataset.path={home / 'faces.arrow'}", "part=test", "statement=true", *SPLIT, *overrides]
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        return to_container(compose("evaluate", given))


def judged(home: Path, folder: Path, *overrides: str, checkpoint: str = "run") -> str:
    config = composed(home, *overrides) | {"checkpoint": str(home / checkpoint)}
    folder.mkdir(exist_ok=True)

    def no_selves(settings: Evaluation, vs: object) -> np.ndarray:
        raise AssertionError("nothing is augmented")

    return evaluate(from_config(config, Evaluation), folder, {"config": config, "command": "as typed"}, no_selves)


def digest(path: Path) -> str:
    return as_saved(open_ensemble([path], Foreign(normalization="none", encoder=None)), "model").digest


@pytest.fixture(scope="module")
def stated(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was calibrated, saved and stated, beside its evaluation."""
    folder = tmp_path_factory.mktemp("stated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matplotlib.figure.Figure.savefig", lambda figure, file, **o: Path(file).write_bytes(b""))
        judged(home, folder, *FITTED, f"save_as={folder / 'model.safetensors'}")
    return folder


@pytest.fixture
def statement(stated: Path) -> Statement:
    path = stated / "model.safetensors"
    return read(find([path]), digest(path))


def test_it_states_what_the_evaluation_found(stated: Path, statement: Statement) -> None:
    rows = read_csv(stated / "predictions.csv")
    errors = np.array([float(row["prediction"]) - float(row["age"]) for row in rows])
    whole = np.array([int(float(row["age"])) for row in rows])
    assert statement.scores["mae"] == pytest.approx(np.abs(errors).mean())
    assert [group.value for group in statement.per_age] == [str(age) for age in AGES]
    for group in statement.per_age:
        of_age = np.abs(errors[whole == int(group.value)])
        assert group.faces == len(of_age)
        assert group.mae.estimate == pytest.approx(of_age.mean())
        assert group.mae.low <= of_age.mean() <= group.mae.high
        assert group.bias_of_median.estimate == pytest.approx(errors[whole == int(group.value)].mean())
    assert {group.value for group in statement.groups if group.column == "gender"} == {"female", "male"}
    assert statement.flagged is not None
    assert statement.flagged.flagged_minors == sum(row["flagged"] == "1" and float(row["age"]) < 18 for row in rows)
    assert (statement.data.faces, statement.data.ages) == (len(rows), (8.0, 27.0))
    assert statement.data.boundary == 17.5, "ages are whole years"
    assert statement.data.maybe_learnt == 0
    assert statement.command == "as typed"
    evaluation = json.loads((stated / "evaluation.json").read_text())
    assert statement.data.fingerprint == evaluation["data_fingerprint"]
    assert "vectors" not in (statement.calibration or {}), "nobody's vector, nor a digest of it, is in it"


def test_its_files_are_the_owners_alone_and_beside_the_model(stated: Path) -> None:
    beside = {path.name: path.stat().st_mode & 0o777 for path in stated.glob("model.*")}
    names = (
        "model.safetensors",
        "model.reference",
        "model.statement.html",
        "model.statement.json",
        "model.statement.md",
    )
    assert beside == dict.fromkeys(names, 0o600)


def test_far_faces_are_told_by_the_training_faces_that_go_with_it(stated: Path, statement: Statement) -> None:
    assert statement.reference is not None
    path = reference.find(find([stated / "model.safetensors"]))
    found = reference.open_reference(path, statement.reference)
    assert found.faces == len(AGES) * (PER_AGE - 18), "those that are neither held out nor to calibrate with"
    assert len(found.expected) == statement.data.faces
    assert found.distance(np.array([[-5, 100, 100]], dtype=np.float32))[0] > found.expected[-1]


def test_faces_that_were_learnt_from_are_not_what_others_are_compared_with(
    home: Path, run: Path, tmp_path: Path
) -> None:
    judged(home, tmp_path / "out", "part=all", checkpoint=str(run))
    found = read(run / "best.statement.json", digest(run / "best.safetensors"))
    trained = len(AGES) * (PER_AGE - 18)
    assert found.data.faces == len(AGES) * PER_AGE
    assert len(reference.read(run / "best.reference").expected) == found.data.faces - trained


def test_it_is_of_one_model_with_one_calibration_and_whole(home: Path, stated: Path, tmp_path: Path) -> None:
    shutil.copytree(stated, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "model.safetensors"
    own = digest(path)
    assert open_statement([path], own, required=True) is not None
    with pytest.raises(UserError, match="another"):
        read(find([path]), digest(home / "run/best.safetensors"))
    text = find([path]).read_text()
    changed = text.replace('"faces": 80', '"faces": 99', 1)
    without_digest = json.dumps({name: value for name, value in json.loads(changed).items() if name != "digest"})
    for damage in (changed, without_digest, text[:-20], "[]", text.replace('"scores"', '"s"')):
        find([path]).write_text(damage)
        with pytest.raises(UserError, match=r"statement=true.*statement=optional"):
            open_statement([path], own, required=True)


def test_a_model_without_one_is_refused_or_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(UserError, match=r"no such file.*statement=true.*statement=optional"):
        open_statement([path], "0", required=True)
    assert open_statement([path], "0", required=False) is None
    assert "model.statement.json" in caplog.text


def test_of_a_run_it_lies_in_its_folder_and_of_several_in_theirs() -> None:
    both = [Path("runs") / name / "best.safetensors" for name in ("a", "b")]
    assert find(both[:1]) == Path("runs/a/best.statement.json")
    assert find(both) == Path("runs/statement.json")
    assert reference.find(find(both)) == Path("runs/statement.reference")


def few_faces(folder: Path, *ages: int, per_age: int = 30) -> str:
    """Write a file of faces of which nothing else is known, and return it as an option."""
    generator = np.random.default_rng(1)
    of_age = np.repeat(ages, per_age)
    vectors = np.column_stack([of_age + generator.normal(0, 1, len(of_age)), generator.normal(size=(len(of_age), 2))])
    np.savez(folder / "few.npz", vectors=vectors, ages=of_age, names=np.array([f"{k}" for k in range(len(of_age))]))
    return f"dataset.path={folder / 'few.npz'}"


@pytest.fixture
def run(home: Path, tmp_path: Path) -> Path:
    """A folder of the run for one test alone."""
    return shutil.copytree(home / "run", tmp_path / "run")


def test_what_is_not_known_is_said(home: Path, run: Path, tmp_path: Path) -> None:
    (run / "best.reference").write_text("of an earlier evaluation")
    judged(home, tmp_path / "out", few_faces(tmp_path, 9, 14, per_age=15), "part=all", checkpoint=str(run))
    found = read(run / "best.statement.json", digest(run / "best.safetensors"))
    limits = " ".join(found.limits)
    for said in (
        "ages from 9 to 14",
        "no face of the ages 10-13",
        "ages 9, 14 there were fewer than 20",
        "No adult",
        "one person",
        "No gender",
        "one source",
        "made the vectors is not known",
        "quality",
        "not known here which faces the model was trained on",
        "How far a case's faces",
        "one age a face",
        "No threshold",
    ):
        assert said in limits
    assert found.reference is None
    assert not (run / "best.reference").exists()


def test_faces_that_may_have_been_learnt_from_are_counted(home: Path, run: Path, tmp_path: Path) -> None:
    write_csv(run / "predictions.csv", ("name", "age"), [("another", 3)])
    judged(home, tmp_path / "out", "part=validation", checkpoint=str(run))
    found = read(run / "best.statement.json", digest(run / "best.safetensors"))
    assert found.data.maybe_learnt == found.data.faces == 80
    assert "80 of the 80 faces" in " ".join(found.limits)
    assert "chose the model" in " ".join(found.limits)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"calibrate": {"_target_": "vec2uage.calibration.conformal.Conformal"}}, "save_as"),
        ({"minors": {"recall": 0.95, "confidence": 0.95}}, "save_as"),
        ({"tta": 2}, "tta=0"),
        ({"part": "train"}, "part=test"),
    ],
)
def test_what_would_speak_of_something_else_is_refused(options: dict[str, Any], says: str, config: Any) -> None:
    with pytest.raises(UserError, match=f"statement: .*{says}"):
        from_config(config | options, Evaluation)


def test_a_model_is_not_stated_without_the_calibration_in_its_file(home: Path, stated: Path, tmp_path: Path) -> None:
    model = str(stated / "model.safetensors")
    with pytest.raises(UserError, match="statement: calibrate=none"):
        judged(home, tmp_path / "a", "calibrate=none", checkpoint=model)
    judged(home, tmp_path / "b", "calibrate=none", f"save_as={tmp_path / 'plain.safetensors'}", checkpoint=model)
    plain = tmp_path / "plain.safetensors"
    assert read(find([plain]), digest(plain)).calibration is None


def test_photographs_measures_are_those_of_the_prepared_folder(home: Path, run: Path, tmp_path: Path) -> None:
    overrides = [few_faces(tmp_path, 9, 14), "part=all"]
    heads = ("name", "status", "face", "score", "detector", "sharpness", "eyes", "sha256")
    rows = [(f"{row}", "ok", "1", "0.5", "hog", f"{row}", "", "") for row in range(60)]
    write_csv(tmp_path / "faces.csv", heads, [("bad", "no_face", "", "", "", "", "", ""), *rows])
    judged(home, tmp_path / "a", *overrides, checkpoint=str(run))
    found = read(run / "best.statement.json", digest(run / "best.safetensors"))
    assert found.measures is not None
    assert found.measures.keys() == {"sharpness"}, "no face has eyes, and scores are on the detector's own scale"
    assert found.measures["sharpness"] == pytest.approx(np.percentile(np.arange(60), [1, 50, 99]))
    write_csv(tmp_path / "faces.csv", heads, rows[1:])
    judged(home, tmp_path / "b", *overrides, checkpoint=str(run))
    assert read(run / "best.statement.json", digest(run / "best.safetensors")).measures is None, "of other faces"


class Page(HTMLParser):
    """The elements of a page, which all must be closed, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_says_all_in_both_forms_and_runs_nothing(statement: Statement) -> None:
    hostile = replace(statement, command="<script>alert(1)</script>\x1b[31m", limits=("[x](javascript:1) <img src=x>",))
    page, markdown = Page(statement_page.html(hostile)), statement_page.markdown(hostile)
    assert page.open == []
    assert not {"script", "img", "a", "iframe"} & set(page.tags)
    assert "default-src 'none'" in statement_page.html(hostile)
    assert "<img" not in markdown
    for text in (page.text, markdown):
        assert "\x1b" not in text
        for said in (
            f"{statement.scores['mae']:.2f} years",
            statement.model,
            statement.data.fingerprint,
            statement.code,
            "incompleteness",
            "misinterpretation",
            "of those it was fitted to",
            "Known limits",
        ):
            assert said in text
    assert page.text.count("T or older") == markdown.count("T or older")


@pytest.mark.slow
def test_the_page_is_shown_by_a_browser_on_a_desk_and_on_a_phone(stated: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no Chromium to open the page in")
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for width in (1280, 360):
            page = chromium.new_page(viewport={"width": width, "height": 800})
            page.on("console", lambda message: complaints.append(message.text))
            page.goto((stated / "model.statement.html").as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing is cut off"
            assert page.locator("h2").count() >= 8
        chromium.close()
    assert complaints == []
