"""`python -m vec2uage.predict` as a user types it: files of every kind, and what an examiner finds in the folder."""

import os
import shutil
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import torch
from drawn_face import draw_face, save
from PIL import Image
from pyarrow import parquet
from terminal import Terminal, table
from toys import MeanColour

from vec2uage.config.component import Component
from vec2uage.data import storage
from vec2uage.data.vectorset import make_vector_set
from vec2uage.training.heads.gaussian import Gaussian
from vec2uage.training.model_file import NetworkModel, load
from vec2uage.training.models import MLP
from vec2uage.training.normalization import Normalization

TOYS = {"detector/toy": "toys.Halves", "embedder/toy": "toys.MeanColour"}
ENCODER = "mean-colour/crop.margin:0.0/crop.size:224/detector:halves-1"
COLOURS = {"red.png": (200, 30, 30), "deep/green.png": (20, 180, 40), "deep/blue.png": (10, 60, 190)}
CASE = ["--config-dir=choices", "detector=toy", "crop=default", "embedder=toy", "quality=none", "turns=[]", "workers=1"]
WITHOUT_STATEMENT = ["checkpoint=model.safetensors", "statement=optional"]
CHANGING = (".lock", "predict.log", "case.sqlite", "case.sqlite-wal", "case.sqlite-shm")


def write_model(path: Path) -> None:
    torch.manual_seed(1)
    weights = {name: tensor[None] for name, tensor in MLP(3, (4,), 2).state_dict().items()}
    component = Component("vec2uage.training.models.MLP", (("hidden", (4,)),))
    NetworkModel(component, weights, 3, Normalization("l2"), ENCODER, head=Gaussian()).save(path)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a case of five files, a model for it, and a detector and an embedder of one's own."""
    for choice, target in TOYS.items():
        file = tmp_path / "choices" / f"{choice}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"_target_: {target}\n")
    for name, colour in COLOURS.items():
        save(tmp_path / "photos" / name, np.full((60, 40, 3), colour, np.uint8))
    save(tmp_path / "photos/deep/dark.png", np.zeros((60, 40, 3), np.uint8))
    (tmp_path / "photos/notes.txt").write_text("no picture")
    write_model(tmp_path / "model.safetensors")
    return tmp_path


def results(folder: Path) -> dict[str, bytes]:
    """What the files of results hold, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in CHANGING}


@pytest.fixture
def predict(home: Path, here: Any) -> Any:
    def run(*arguments: str, source: str = "source.path=photos") -> CompletedProcess[str]:
        return here(home, "predict", *CASE, *WITHOUT_STATEMENT, source, *arguments)

    return run


def test_every_file_has_a_row_every_face_an_age_and_so_has_every_vector(home: Path, predict: Any) -> None:
    (home / "photos/half.png").write_bytes((home / "photos/red.png").read_bytes()[:70])
    done = predict("output=case", "keep_vectors=true")
    assert done.returncode == 3, done.stderr
    assert "6 files: 3 ok, 1 no_face, 1 unreadable, 1 no_media" in done.stdout
    assert "1 file could not be looked into" in done.stderr
    assert "no such file, so that nothing is known of how far the model is off" in done.stderr
    files = {row["path"]: row for row in table(home / "case/files.csv")}
    assert {name: row["status"] for name, row in files.items()} == {
        **dict.fromkeys(COLOURS, "ok"),
        "deep/dark.png": "no_face",
        "half.png": "unreadable",
        "notes.txt": "no_media",
    }
    rows = {row["path"]: row for row in table(home / "case/predictions.csv")}
    vectors = MeanColour().open("cpu")(np.array([COLOURS[name] for name in rows], dtype=np.float32))
    expected = load(home / "model.safetensors").predict(vectors)
    assert [float(row["age"]) for row in rows.values()] == pytest.approx(expected.median, rel=1e-4)
    assert [float(row["low_90"]) for row in rows.values()] == pytest.approx(expected.interval(0.9)[0], rel=1e-4)
    assert all(files[name]["p_minor"] == row["p_minor"] for name, row in rows.items())
    kept = parquet.read_table(home / "case/predictions.parquet")
    np.testing.assert_array_equal(np.array(kept["vector"].to_pylist(), np.float32), vectors)
    assert not [path for path in (home / "case").iterdir() if path.stat().st_mode & 0o077]

    storage.save(make_vector_set(vectors, None, names=list(rows), encoder=ENCODER), home / "vectors.arrow")
    done = predict("source=vectors", "output=rows", source="source.path=vectors.arrow")
    assert done.returncode == 0, done.stderr
    refused = predict("source=vectors", "output=rows", "known=hashes.txt", source="source.path=vectors.arrow")
    assert refused.returncode == 1
    assert "known" in refused.stderr
    columns = ("path", "age", "low_90", "high_90", "p_minor")
    of_rows = {row["path"]: row for row in table(home / "rows/predictions.csv")}
    assert [[of_rows[name][column] for column in columns] for name in rows] == [
        [row[column] for column in columns] for row in rows.values()
    ]


def test_results_do_not_depend_on_how_they_came_about(home: Path, predict: Any) -> None:
    assert predict("output=case").returncode == 0
    once = results(home / "case")
    assert {"case.json", "case.html", "files.csv", "files.parquet", "predictions.csv", "predictions.parquet"} == {*once}
    (home / "other").mkdir()
    (home / "other/.files.0a1b2c3d.csv").touch()  # of a command that was killed while it wrote
    assert predict("output=other", "workers=2").returncode == 0
    assert results(home / "other") == once
    refused = predict("output=case", "turns=[90]")
    assert refused.returncode == 1
    assert "overwrite=true" in refused.stderr
    assert results(home / "case") == once


def test_the_service_of_a_job_asks_the_model_of_that_job(home: Path, predict: Any) -> None:
    shutil.copy(home / "model.safetensors", home / "other.safetensors")
    sweep = ["-m", "checkpoint=model.safetensors,other.safetensors", "hydra.sweep.dir=cases", "trust_code=false"]
    assert predict("export=iped", *sweep, source="source.path=photos/red.png").returncode == 0
    commands = [path.read_text() for path in sorted(home.glob("cases/*/Vec2uageConfig.txt"))]
    asked = [[word for word in text.split() if word.startswith("checkpoint=")] for text in commands]
    assert asked == [["checkpoint=model.safetensors"], ["checkpoint=other.safetensors"]]
    assert all("--config-dir=choices" in text and "trust_code=" in text for text in commands)
    assert not any(" -m check" in text for text in commands)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["output=photos/results"], ["among the files of the case"]),
        (["source=utkface"], ["no source of a case"]),
        (["export=vics"], ["source=vics"]),
        (["export=vics", "source.path=[photos,photos]"], ["source=vics"]),
        (["source=csv", "source.path=case/list.csv"], ["has their list or vectors"]),
        (["source=vectors", "source.path=[a.npz,case/predictions.parquet]"], ["has their list or vectors"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_said_before_any_work(
    arguments: list[str], said: list[str], home: Path, predict: Any
) -> None:
    refused = predict("output=case", *arguments)
    assert refused.returncode == 1
    assert all(words in refused.stderr for words in said), refused.stderr
    assert refused.stderr.count("error:") == 1
    assert not (home / "case/case.json").exists()


@pytest.mark.slow
def test_drawn_faces_are_found_without_any_network(tmp_path: Path) -> None:
    """The default detector and embedder, in a process of its own, to which no network is open."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import pathlib, socket\npathlib.Path({str(tmp_path / 'closed')!r}).touch()\n"
        "def refuse(*given): raise RuntimeError(f'to the network: {given}')\n"
        "socket.getaddrinfo = refuse\n"
        "connect = socket.socket.connect\n"
        "socket.socket.connect = lambda own, to: connect(own, to) if own.family == socket.AF_UNIX else refuse(to)\n"
    )
    for seed in range(3):
        save(tmp_path / f"photos/{seed}.png", draw_face(240, seed))
    Image.fromarray(np.rot90(draw_face(240, 4))).save(tmp_path / "photos/turned.png")
    generator = np.random.default_rng(0)
    np.savez(tmp_path / "faces.npz", vectors=generator.normal(size=(400, 512)), ages=generator.integers(1, 19, 400))
    terminal = Terminal(tmp_path)
    terminal.environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    data = ["dataset=vectors", "dataset.path=faces.npz", "split.heldout_per_age=4"]
    trained = terminal.run("train", *data, "augmentation.train_per_age=20", "trainer.max_epochs=1", "hydra.run.dir=run")
    assert trained.returncode == 0, trained.stderr
    process = terminal.start("predict", "checkpoint=run", "statement=optional", "source.path=photos", "output=case")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "4 files: 4 ok" in out
    assert (tmp_path / "closed").exists()
    assert "to the network" not in err
    rows = {row["path"]: row for row in table(tmp_path / "case/predictions.csv")}
    assert [row["turn"] for row in rows.values()] == ["0", "0", "0", "90"]
    assert terminal.open_to_others("case") == []
