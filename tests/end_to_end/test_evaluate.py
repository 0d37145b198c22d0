"""`python -m vec2uage.evaluate` as a user types it, in a folder of the user's own."""

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from terminal import Terminal
from torch import nn

from vec2uage.data.dataset_folder import complete, divide, write
from vec2uage.data.leakage import Leakage
from vec2uage.data.paper_split import PaperSplit
from vec2uage.data.synthetic import generate
from vec2uage.predictions import metrics
from vec2uage.predictions.base import Prediction
from vec2uage.runs.index import write_table
from vec2uage.runs.result import RunResult

SMALL = ["dataset=synthetic", "dataset.size=small", "split.heldout_per_age=20"]
TRAIN = [*SMALL, "augmentation.train_per_age=50", "trainer.max_epochs=2"]
FIGURES = {"predictions.png", "operating.png"}  # of points
FILES = {"evaluation.json", "predictions.csv", "by_column.csv", "operating.csv", "evaluate.log"} | FIGURES


def run(folder: Path, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return Terminal(folder).run(command, *arguments)


def evaluate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "evaluate", *arguments)


def evaluated(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run in it."""
    folder = tmp_path_factory.mktemp("home")
    assert run(folder, "train", *TRAIN, "hydra.run.dir=run").returncode == 0
    return folder


def test_a_runs_own_test_error_is_reproduced(home: Path) -> None:
    done = evaluate(home, "checkpoint=run/best.safetensors", *SMALL, "part=test", "hydra.run.dir=own")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (home / "own").iterdir()} == FILES
    assert (home / "own/predictions.csv").read_bytes() == (home / "run/predictions.csv").read_bytes()
    expected = RunResult.from_json((home / "run/result.json").read_text())
    assert evaluated(home / "own")["scores"]["mae"] == pytest.approx(expected.scores["test/mae"], rel=1e-6)
    assert "no test rows" not in done.stderr


@pytest.fixture(scope="module")
def prepared(home: Path) -> Path:
    """A folder as `vec2uage.prepare` writes it: the rows of the run in `home`, divided as the run divided them."""
    folder = home / "prepared"
    folder.mkdir()
    how = PaperSplit(heldout_per_age=20)
    report = Leakage(
        action="report", near_duplicate=0.95, signature_bits=None, same_person=None, group_same_person=False
    )
    divided = divide(generate("small", 0), how, report, {}, {})
    complete(divided, folder, write(divided, folder, with_json=False), inputs={}, options={})
    return folder


def test_the_test_part_of_a_prepared_set_is_taken_as_it_is(home: Path, prepared: Path) -> None:
    data = ["dataset=prepared", f"dataset.path={prepared.name}"]
    done = evaluate(home, "checkpoint=run", *data, "part=test", "hydra.run.dir=prepared_test")
    assert done.returncode == 0, done.stderr
    assert (home / "prepared_test/predictions.csv").read_bytes() == (home / "run/predictions.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("ages", "first", "last"), [("[3,5]", 3, 5), ("null", 1, 18)], ids=["some", "every"])
def test_all_of_a_prepared_set_are_its_three_parts(
    ages: str, first: int, last: int, home: Path, prepared: Path
) -> None:
    folder = f"prepared_{first}_{last}_{ages == 'null'}"
    data = ["dataset=prepared", f"dataset.path={prepared.name}", f"split.age_range={ages}"]
    done = evaluate(home, "checkpoint=run", *data, f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    parts = json.loads((prepared / "dataset.json").read_text())["parts"]
    expected = {age: sum(part["per_age"].get(str(age), 0) for part in parts.values()) for age in range(first, last + 1)}
    assert {entry["age"]: entry["n"] for entry in evaluated(home / folder)["per_age"]} == expected
    assert "are no test rows of the run in run" in done.stderr


@pytest.mark.slow
def test_a_split_that_the_runs_seed_draws_is_drawn_again(home: Path) -> None:
    seed = "split.seed=run"
    assert run(home, "train", *TRAIN, seed, "seed=2", "seeds=unpaired", "hydra.run.dir=run2").returncode == 0
    assert evaluate(home, "checkpoint=run2", *SMALL, seed, "part=test", "hydra.run.dir=own2").returncode == 0
    assert (home / "own2/predictions.csv").read_bytes() == (home / "run2/predictions.csv").read_bytes()


def test_what_is_printed_is_what_is_written(home: Path) -> None:
    done = evaluate(home, "checkpoint=run", *SMALL, "part=validation", "cs=[1,2.5]")
    assert done.returncode == 0, done.stderr
    assert "180 of 180 rows are no test rows of the run in run" in done.stderr
    lines = done.stdout.splitlines()
    (folder,) = (home / "outputs/evaluations").glob("*part=validation*")
    assert f"scores:      {folder.relative_to(home)}/evaluation.json" in lines
    found = evaluated(folder)
    assert found["n"] == 180
    assert lines[0] == "180 faces of the ages 1-18"
    assert lines[1] == f"MAE   {found['scores']['mae']:7.3f} years"
    assert list(found["cs"]) == ["1", "2.5"]
    assert found["config"]["part"] == "validation"
    assert found["command"].startswith("python -m vec2uage.evaluate checkpoint=run dataset=synthetic")
    with (folder / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    errors = np.array([float(row["prediction"]) - float(row["age"]) for row in rows])
    assert found["scores"]["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-6)
    assert found["cs"]["2.5"] == pytest.approx((np.abs(errors) <= 2.5).mean())
    assert sum(age["n"] for age in found["per_age"]) == 180


@pytest.mark.slow
def test_faces_the_run_has_seen_give_a_warning(home: Path) -> None:
    done = evaluate(home, "checkpoint=run", *SMALL, "hydra.run.dir=all")
    assert done.returncode == 0
    assert "are no test rows of the run in run" in done.stderr
    assert evaluated(home / "all")["n"] > 1000


def test_a_file_of_vectors_with_an_age_missing_is_evaluated(home: Path) -> None:
    ages = np.array([3, 3, 5, 18, 40])
    np.savez(home / "faces.npz", vectors=np.random.default_rng(0).normal(size=(5, 512)), ages=ages)
    done = evaluate(home, "checkpoint=run", "dataset.path=faces.npz", "hydra.run.dir=faces")
    assert done.returncode == 0, done.stderr
    assert [(age["age"], age["n"]) for age in evaluated(home / "faces")["per_age"]] == [(3, 2), (5, 1), (18, 1)]
    assert "cannot tell whether the model and the dataset are of one encoder" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["checkpoint=nowhere", *SMALL], "error: nowhere: no such file or folder (checkpoint)"),
        (["checkpoint=run", *SMALL, "part=tset"], "error: part = 'tset': should be 'all', 'train',"),
        (["checkpoint=run", *SMALL, "hydra.run.dir=run"], "holds a run of training: set hydra.run.dir"),
        (["checkpoint=run/metrics.csv", *SMALL], "neither a .safetensors file nor a checkpoint"),
        (["checkpoint=run", "dataset.path=other.npz", "dataset.encoder=dlib"], "the model: synthetic"),
    ],
)
def test_a_mistake_ends_with_one_sentence(
    arguments: list[str], says: str, home: Path, here: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    before = (home / "run/predictions.csv").read_bytes()
    np.savez(home / "other.npz", vectors=np.ones((2, 512)), ages=np.array([3, 4]))
    done = here(home, "evaluate", *arguments)
    assert done.returncode == 1
    assert says in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1
    assert done.stdout == ""
    assert (home / "run/predictions.csv").read_bytes() == before


@pytest.mark.slow
def test_the_configuration_of_another_program_is_left_alone(home: Path) -> None:
    """LightningCLI writes a config.yaml beside its checkpoints."""
    (home / "lightning").mkdir(exist_ok=True)
    (home / "lightning/config.yaml").write_text("seed_everything: 7\nmodel: {class_path: theirs.Net}\n")
    torch.save(nn.Sequential(nn.Linear(512, 1)).state_dict(), home / "lightning/model.ckpt")
    done = evaluate(home, "checkpoint=lightning/model.ckpt", *SMALL, "part=test", "hydra.run.dir=theirs")
    assert done.returncode == 0, done.stderr


def test_a_new_metric_is_one_function_and_shows_everywhere(
    home: Path, here: Callable[..., subprocess.CompletedProcess[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def worst(ages: np.ndarray, prediction: Prediction) -> float:
        return float(np.abs(prediction.median - ages).max())

    monkeypatch.setitem(metrics.METRICS, "worst", metrics.METRICS["mae"])  # so that it is forgotten after the test
    metrics.metric(unit="years", label="worst face", every_epoch=True)(worst)
    assert here(home, "train", *TRAIN, "hydra.run.dir=measured").returncode == 0
    known = RunResult.from_json((home / "measured/result.json").read_text())
    assert {"train/worst", "validation/worst", "test/worst"} <= known.scores.keys()
    assert "validation/worst" in (home / "measured/metrics.csv").read_text().splitlines()[0]
    write_table([known], [{}], home / "table.csv")
    assert "test/worst" in (home / "table.csv").read_text().splitlines()[0]
    done = here(home, "evaluate", "checkpoint=measured", *SMALL, "part=test", "hydra.run.dir=judged")
    assert done.returncode == 0, done.stderr
    found = evaluated(home / "judged")["scores"]["worst"]
    assert found == pytest.approx(known.scores["test/worst"], rel=1e-6)
    assert f"worst face  {found:7.3f} years" in done.stdout.splitlines()


def test_a_network_that_gives_no_numbers_is_refused(home: Path) -> None:
    network = nn.Sequential(nn.Linear(512, 1))
    nn.init.constant_(network[0].weight, torch.nan)
    torch.save(network.state_dict(), home / "nan.pt")
    done = evaluate(home, "checkpoint=nan.pt", *SMALL, "part=test")
    assert done.returncode == 1
    assert "nan.pt gives no number for 180 of 180 faces" in done.stderr


@pytest.mark.slow
def test_several_models_are_evaluated_as_jobs_of_one_command(home: Path) -> None:
    (home / "second").mkdir()
    (home / "second/best.safetensors").write_bytes((home / "run/best.safetensors").read_bytes())
    done = evaluate(home, "-m", "checkpoint=run,second", *SMALL, "part=test", "hydra.sweep.dir=both")
    assert done.returncode == 0, done.stderr
    found = [evaluated(folder) for folder in sorted((home / "both").iterdir()) if folder.is_dir()]
    assert [entry["checkpoint"] for entry in found] == ["run/best.safetensors", "second/best.safetensors"]
    assert found[0]["scores"] == found[1]["scores"]


@pytest.mark.slow
def test_the_authors_released_model_has_its_known_error(shared: Path, tmp_path: Path) -> None:
    faces = ["dataset=vectors", f"dataset.path={shared / 'data/visage_val.npz'}"]
    save = "save_as=san.safetensors"
    done = evaluate(
        tmp_path, f"checkpoint={shared / 'data/original/SAN-396.ckpt'}", *faces, save, "hydra.run.dir=first"
    )
    assert done.returncode == 0, done.stderr
    assert "MAE     2.916 years" in done.stdout.splitlines()
    assert evaluate(tmp_path, "checkpoint=san.safetensors", *faces, "hydra.run.dir=second").returncode == 0
    first, second = (evaluated(tmp_path / name) for name in ("first", "second"))
    assert (first["n"], first["scores"]) == (835, second["scores"])


@pytest.mark.slow
def test_what_a_model_is_worth_is_stated_beside_it_by_one_option(home: Path) -> None:
    done = evaluate(home, "checkpoint=run", *SMALL, "part=test", "statement=true", "hydra.run.dir=stated")
    assert done.returncode == 0, done.stderr
    assert "run/best.statement.html" in done.stdout
    found = json.loads((home / "run/best.statement.json").read_text())
    assert found["scores"]["mae"] == evaluated(home / "stated")["scores"]["mae"]
    assert found["command"] in (home / "run/best.statement.md").read_text()
    assert (home / "run/best.reference").is_file(), "the options are those of the run, so its training faces are known"
