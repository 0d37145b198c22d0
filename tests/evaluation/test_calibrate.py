"""A model that is calibrated, judged, saved and judged again; and the faces that it must not be calibrated on."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from sklearn.linear_model import Ridge

from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.config.validate import from_config, to_container
from vec2uage.data.storage import save
from vec2uage.data.vectorset import make_vector_set
from vec2uage.evaluation.calibrate import one_face_each
from vec2uage.evaluation.ensemble import open_ensemble
from vec2uage.evaluation.evaluate_settings import Evaluation, Foreign
from vec2uage.evaluation.run import evaluate
from vec2uage.training.calibrated import as_saved
from vec2uage.training.learners.sklearn import SklearnModel
from vec2uage.training.model_file import NetworkModel
from vec2uage.training.normalization import Normalization

PAPER = ["split.age_range=[1,40]", "split.heldout_per_age=8", "split.calibration_per_age=10"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, save_network: Callable[[Path], None]) -> Path:
    """Thirty faces of each age from 1 to 40, another file of such, and a network that is some years off."""
    folder = tmp_path_factory.mktemp("calibrate")
    for name, seed in (("faces", 0), ("others", 1)):
        generator = np.random.default_rng(seed)
        ages = np.repeat(np.arange(1, 41), 30)
        vectors = np.column_stack([ages + generator.normal(0, 3, 1200), generator.normal(size=(1200, 2))])
        np.savez(folder / f"{name}.npz", vectors=vectors, ages=ages, encoder="facenet")
    save_network(folder / "model.safetensors")
    return folder


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave figures undrawn: they are tested elsewhere, and take most of an evaluation's time."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, file, **options: Path(file).write_bytes(b""))


def judged(home: Path, folder: Path, *overrides: str, model: str = "model.safetensors", part: str = "test") -> str:
    register_resolvers()
    given = [f"checkpoint={home / model}", f"dataset.path={home / 'faces.npz'}", f"part={part}", *PAPER, *overrides]
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        config = compose("evaluate", given)
    folder.mkdir(exist_ok=True)

    def no_selves(settings: Evaluation, vs: object) -> np.ndarray:
        raise AssertionError("nothing is augmented")

    return evaluate(from_config(config, Evaluation), folder, {"config": to_container(config)}, no_selves)


def told(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "evaluation.json").read_text())
    return found


def test_what_is_saved_is_judged_alike_and_can_be_left_out(home: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved.safetensors"
    first = judged(
        home, tmp_path / "a", "calibrate=conformal", "minors.recall=0.95", "calibrate.bins=2", f"save_as={saved}"
    )
    again = judged(home, tmp_path / "b", model=str(saved))
    assert again == first
    assert told(tmp_path / "a")["calibration"]["threshold"]["fitted_to"]["minors"] == 170  # type: ignore[index]
    assert "minors" in first
    alone = judged(home, tmp_path / "t", "calibrate=none", "minors.recall=0.95")
    assert first.splitlines()[-1] == alone.splitlines()[-1]  # the same faces are flagged, whatever becomes of intervals
    one, other = ((tmp_path / name / "predictions.csv").read_bytes() for name in "ab")
    assert one == other
    rows = read_csv(tmp_path / "a/predictions.csv")
    assert {row["flagged"] for row in rows} == {"0", "1"}
    covered = np.mean([float(row["low_90"]) <= float(row["age"]) <= float(row["high_90"]) for row in rows])
    assert covered > 0.8
    flagged = told(tmp_path / "a")["flagged"]
    assert flagged["flagged_minors"] == sum(row["flagged"] == "1" and float(row["age"]) < 18 for row in rows)  # type: ignore[index]

    plain = judged(home, tmp_path / "c", "calibrate=none", model=str(saved))
    assert plain == judged(home, tmp_path / "d")
    assert told(tmp_path / "c")["calibration"] is None
    assert "flagged" not in read_csv(tmp_path / "c/predictions.csv")[0]

    for part in ("calibration", "all"):
        with pytest.raises(UserError, match="400 of 400 faces to calibrate on are among those to judge"):
            judged(home, tmp_path / "e", model=str(saved), part=part)
    with pytest.raises(UserError, match=r"minors\.recall: .*calibrate=none"):
        judged(home, tmp_path / "e", "minors.recall=0.9", model=str(saved))


@pytest.mark.parametrize(
    ("overrides", "part", "says"),
    [
        (["calibrate=conformal"], "calibration", "those are the faces to judge"),
        (["calibrate=conformal"], "all", "400 of 400 faces to calibrate on are among those to judge"),
        (
            ["calibrate=conformal", "split.calibration_per_age=0"],
            "test",
            r"no such part: set split\.calibration_per_age",
        ),
        (["calibrate=temperature"], "test", "no probabilities"),
        (["minors.recall=0.99"], "test", r"170 faces under 18 .* 299 are needed"),
        (["calibrate=conformal", "calibrate.level=0.999"], "test", r"400, but .* needs 1,999"),
        (["save_as=model.skops"], "test", r"ends in \.safetensors"),
    ],
)
def test_what_would_promise_nothing_is_refused(
    overrides: list[str], part: str, says: str, home: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says):
        judged(home, tmp_path, *overrides, part=part)
    assert not (tmp_path / "evaluation.json").exists()


def test_other_files_and_validation_can_be_calibrated_on(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = judged(home, tmp_path, "calibrate=conformal", f"calibrate.path={home / 'others.npz'}", part="all")
    assert "1,200 faces of" in said
    with pytest.raises(UserError, match="1,200 of 1,200 faces to calibrate on"):
        judged(home, tmp_path, "calibrate=conformal", f"calibrate.path={home / 'faces.npz'}", part="all")
    assert "early stopping" not in caplog.text
    judged(home, tmp_path, "calibrate=conformal", "calibrate.part=validation")
    assert "early stopping" in caplog.text


def test_a_calibration_of_another_model_or_that_is_damaged_is_refused(home: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved.safetensors"
    judged(home, tmp_path / "a", "calibrate=conformal", f"save_as={saved}")
    model = open_ensemble([saved], Foreign(normalization="none", encoder=None))
    assert as_saved(model, "saved").calibration is not None
    assert isinstance(model, NetworkModel)
    weights = {name: tensor + 1 for name, tensor in model.weights.items()}
    with pytest.raises(UserError, match="fitted for another model"):
        as_saved(replace(model, weights=weights), "saved")
    assert model.calibration is not None
    for damage in ({"tta": 3}, {"fitted": None}, {"digest": "0"}):
        with pytest.raises(UserError, match="saved: its calibration is damaged"):
            as_saved(replace(model, calibration={**model.calibration, **damage}), "saved")


def test_regressors_keep_their_calibration_too(home: Path, tmp_path: Path) -> None:
    with np.load(home / "others.npz") as data:
        estimator = Ridge().fit(data["vectors"], data["ages"])
    SklearnModel(estimator, 3, Normalization("none"), "facenet").save(tmp_path / "ridge.skops")
    saved = tmp_path / "saved.skops"
    first = judged(home, tmp_path / "a", "calibrate=conformal", f"save_as={saved}", model=str(tmp_path / "ridge.skops"))
    assert judged(home, tmp_path / "b", model=str(saved)) == first


def test_a_threshold_is_fitted_to_one_face_of_each_person_as_minor_and_as_adult() -> None:
    ages = [10, 12, 17, 20, 30, 9, 9]
    vs = make_vector_set(np.arange(21.0).reshape(7, 3), ages, subjects=["a", "a", "b", "b", "b", "", ""])
    drawn = one_face_each(vs, vs.ages)  # type: ignore[arg-type]
    assert sorted(zip(vs.subjects[drawn], vs.ages[drawn] < 18, strict=True)) == [  # type: ignore[index]
        ("", True),
        ("", True),
        ("a", True),
        ("b", False),
        ("b", True),
    ]


def written(folder: Path, name: str, faces: slice, older: float = 0, **columns: Any) -> str:
    """A file of some of the faces of `faces.npz`, known by more columns or by other ages or encoders."""
    with np.load(folder / "faces.npz") as data:
        vs = make_vector_set(data["vectors"][faces], data["ages"][faces] + older, **{"encoder": "facenet", **columns})
    save(vs, folder / name)
    return str(folder / name)


def test_persons_are_counted_once_and_told_where_they_are_on_both_sides(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    even, odd = slice(0, None, 2), slice(1, None, 2)
    persons = [f"p{k // 2}" for k in range(600)]  # of each age 15 pictures of 7 or 8 persons
    known = written(home, "even.arrow", even, subjects=persons)
    rows = ["split.heldout_per_age=2", "split.calibration_per_age=0", f"calibrate.path={known}", "minors.recall=0.95"]
    judged_alike = f"dataset.path={written(home, 'odd.arrow', odd, subjects=persons)}"
    said = judged(home, tmp_path, *rows, judged_alike, part="all")
    assert "one face for the threshold" in said
    assert "persons with faces both to calibrate on and to judge" in caplog.text


@pytest.mark.parametrize(
    ("older", "columns", "overrides", "says"),
    [
        (0.5, {}, ["calibrate=conformal"], "not on one scale"),
        (0.0, {"encoder": "dlib"}, ["calibrate=conformal", "encoder_mismatch=allow"], "different encoders"),
        (0.0, {}, ["calibrate=conformal", "calibrate.columns=[gender]"], "gender is known: leave gender out"),
    ],
)
def test_faces_unlike_those_to_judge_are_told(
    older: float,
    columns: dict[str, Any],
    overrides: list[str],
    says: str,
    home: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = written(home, "unlike.arrow", slice(0, None, 2), older, **columns)
    others = [f"dataset.path={home / 'others.npz'}", f"calibrate.path={path}", "dataset.encoder=facenet"]
    try:
        judged(home, tmp_path, *others, *overrides)
    except UserError as error:
        assert says in str(error)  # noqa: PT017 - some are refused, of others there is a warning
    else:
        assert says in caplog.text
