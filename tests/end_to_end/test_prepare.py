"""From photographs to a trained model, as a user types it, with files of every kind and a process that is killed."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawn_face import draw_face, save
from PIL import Image
from terminal import SPLIT, Terminal, draw_people, table

from vec2uage.data import storage
from vec2uage.data.vectorset import merge
from vec2uage.faces.embedders.blocks import BLOCKS

SOURCE = ["source=visage", "source.path=photos", *SPLIT]


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A folder with photographs that are prepared once."""
    made = Terminal(tmp_path_factory.mktemp("home"))
    draw_people(made.folder / "photos")
    done = made.run("prepare", *SOURCE)
    assert done.returncode == 0, done.stderr
    return made


def test_photographs_become_a_set_that_trains(terminal: Terminal) -> None:
    folder = terminal.prepared()
    parts = {part: storage.load(folder / f"{part}.arrow") for part in ("train", "validation", "test")}
    assert {part: len(vs) for part, vs in parts.items()} == {"train": 9, "validation": 3, "test": 3}
    assert all(sorted(parts[part].ages) == [1, 2, 3] for part in ("validation", "test"))
    assert parts["train"].vectors.shape[1] == 512
    assert parts["train"].encoder.startswith("facenet-20180408-102900-")
    description = json.loads((folder / "dataset.json").read_text())
    assert description["parts"]["train"]["per_age"] == {"1": 3, "2": 3, "3": 3}
    assert description["files_by_status"] == {"ok": 15}
    assert {"leakage.csv", "faces_per_age.png", "faces_per_age_and_gender.png", "prepare.log"} <= {
        path.name for path in folder.iterdir()
    }
    trained = terminal.run(
        "train", "dataset=prepared", f"dataset.path={folder}", "split.age_range=[1,3]", "trainer.max_epochs=1",
        "augmentation.train_per_age=5", "hydra.run.dir=run",
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    result = json.loads((terminal.folder / "run" / "result.json").read_text())
    assert result["encoder"] == parts["train"].encoder
    tested = table(terminal.folder / "run" / "predictions.csv")
    assert sorted(row["name"] for row in tested) == sorted(parts["test"].names)


def test_a_row_says_where_the_face_is_and_what_the_file_is(terminal: Terminal) -> None:
    import hashlib

    for row in terminal.rows():
        content = (terminal.folder / "photos" / row["name"]).read_bytes()
        for algorithm in ("sha256", "sha1", "md5"):
            assert row[algorithm] == hashlib.new(algorithm, content).hexdigest()
        assert (row["status"], row["detector"], row["age"]) == ("ok", "hog", row["name"].split("/")[0])
        left, top, right, bottom = (int(row[side]) for side in ("left", "top", "right", "bottom"))
        assert 40 < right - left < 120  # the drawn face is about 0.7 of 120 pixels wide
        assert left < 60 < right
        assert top < 60 < bottom


def test_the_same_command_again_does_nothing_and_says_so(terminal: Terminal) -> None:
    before = snapshot(terminal.prepared())
    again = terminal.run("prepare", *SOURCE)
    assert again.returncode == 0
    assert "0 of them opened" in again.stderr
    assert "nothing new" in again.stderr
    assert snapshot(terminal.prepared()) == before


@pytest.mark.slow
def test_other_options_do_not_replace_a_folder_unasked(terminal: Terminal) -> None:
    before = snapshot(terminal.prepared())
    refused = terminal.run("prepare", *SOURCE, "split.seed=1")
    assert refused.returncode == 1
    assert "split.seed: 0 there, 1 now" in refused.stderr
    assert snapshot(terminal.prepared()) == before
    elsewhere = terminal.run("prepare", *SOURCE, "split.seed=1", "output=outputs/prepared/second")
    assert elsewhere.returncode == 0
    assert "0 of them opened" in elsewhere.stderr
    missing = terminal.run("prepare", *SOURCE, "source.path=nothere")
    assert missing.stderr.startswith("error: nothere: no such")


@pytest.mark.slow
def test_a_set_that_cannot_be_divided_does_not_replace_another(terminal: Terminal) -> None:
    before = snapshot(terminal.prepared())
    (terminal.folder / "bad" / "1").mkdir(parents=True)
    (terminal.folder / "bad" / "1" / "a.jpg").write_text("no")
    for options, told in (
        (["split.heldout_per_age=1000"], "lower split.heldout_per_age"),
        (["source.path=bad", f"output={terminal.prepared()}"], "what .* holds is kept"),
    ):
        refused = terminal.run("prepare", *SOURCE, *options, "overwrite=true")
        assert refused.returncode == 1
        assert re.search(told, refused.stderr)
    assert snapshot(terminal.prepared()) == before


@pytest.mark.slow
def test_a_folder_that_was_half_replaced_is_neither_complete_nor_trained_on(terminal: Terminal) -> None:
    command = ["prepare", *SOURCE, "output=outputs/prepared/half"]
    assert terminal.run(*command).returncode == 0
    folder = terminal.prepared("half")
    whole = results(folder)
    shutil.copy(folder / "train.arrow", folder / "test.arrow")
    trained = terminal.run("train", "dataset=prepared", f"dataset.path={folder}")
    assert trained.returncode == 1
    assert "test.arrow" in trained.stderr
    again = terminal.run(*command)
    assert "nothing new" not in again.stderr
    assert results(folder) == whole


@pytest.mark.slow
def test_jobs_of_a_multirun_have_folders_of_their_own_and_the_highest_exit_code(terminal: Terminal) -> None:
    (terminal.folder / "some" / "1").mkdir(parents=True)
    (terminal.folder / "some" / "1" / "a.jpg").write_text("no")
    shutil.copy(next((terminal.folder / "photos" / "1").iterdir()), terminal.folder / "some" / "1")
    sweep = ["-m", SOURCE[0], "source.path=some", "split=none", "faces=largest,first", "detector=none"]
    assert terminal.run("prepare", *sweep, "hydra.sweep.dir=some_sets").returncode == 3
    assert len(list((terminal.folder / "some_sets").glob("*/vectors.arrow"))) == 2
    refused = terminal.run("prepare", *sweep, "output=elsewhere")
    assert refused.returncode == 1
    assert "below hydra.sweep.dir: set that instead" in refused.stderr


def test_two_commands_do_not_write_to_one_folder(terminal: Terminal) -> None:
    import fcntl

    with (terminal.prepared() / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        refused = terminal.run("prepare", *SOURCE)
    assert refused.returncode == 1
    assert "another command is writing to it" in refused.stderr


@pytest.mark.slow
def test_no_pixels_are_kept_unless_asked_for_and_a_refused_replacement_keeps_them(terminal: Terminal) -> None:
    drawn = {"faces_per_age.png", "faces_per_age_and_gender.png"}
    assert {path.name for path in (terminal.folder / "outputs").rglob("*.png")} <= drawn
    command = ["prepare", *SOURCE, "output=outputs/prepared/crops"]
    folder = terminal.prepared("crops")
    assert terminal.run(*command, "keep_crops=true").returncode == 0
    before = snapshot(folder)
    refused = terminal.run(*command, "split.heldout_per_age=1000", "overwrite=true")
    assert refused.returncode == 1
    assert snapshot(folder) == before
    crops = list((folder / "crops").glob("*.png"))
    assert len(crops) == 15
    assert {np.asarray(Image.open(crop)).shape for crop in crops} == {(224, 224, 3)}
    assert terminal.run(*command, "overwrite=true").returncode == 0
    assert not (folder / "crops").exists()


@pytest.mark.slow
def test_another_encoder_makes_other_vectors_of_the_same_boxes(terminal: Terminal) -> None:
    done = terminal.run(
        "prepare", *SOURCE[:2], "embedder=dlib_resnet", "split=none", "output=outputs/prepared/dlib", "json=true"
    )
    assert done.returncode == 0, done.stderr
    vs = storage.load(terminal.prepared("dlib") / "vectors.arrow")
    assert vs.vectors.shape == (15, 128)
    boxes = [[row[side] for side in ("name", "left", "top", "right", "bottom")] for row in terminal.rows("dlib")]
    assert boxes == [[row[side] for side in ("name", "left", "top", "right", "bottom")] for row in terminal.rows()]
    paper = json.loads((terminal.prepared("dlib") / "vectors.json").read_text())
    assert len(paper) == 15
    assert {len(vector) for vector in paper.values()} == {128}


def test_vectors_already_made_are_divided_too(terminal: Terminal) -> None:
    parts = [storage.load(terminal.prepared() / f"{part}.arrow") for part in ("train", "validation", "test")]
    storage.save(merge(parts), terminal.folder / "whole.arrow")
    done = terminal.run("prepare", "source=vectors", "source.path=whole.arrow", *SPLIT)
    assert done.returncode == 0, done.stderr
    assert len(storage.load(terminal.prepared("vectors") / "test.arrow")) == 3
    np.savez(terminal.folder / "ageless.npz", vectors=np.eye(3, dtype=np.float32))
    refused = terminal.run("prepare", "source=vectors", "source.path=ageless.npz", "output=outputs/ageless")
    assert refused.returncode == 1
    assert "vec2uage.prepare needs ages" in refused.stderr


@pytest.mark.slow
def test_every_kind_of_bad_file_has_its_row_and_the_exit_code_tells(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    photos = tmp_path / "photos"
    draw_people(photos)
    good = photos / "1" / "person_0.png"
    truncated = good.read_bytes()
    (photos / "1" / "truncated.png").write_bytes(truncated[: len(truncated) // 2])
    (photos / "1" / "zero.jpg").touch()
    (photos / "2" / "text.jpg").write_text("not a picture")
    (photos / "1" / "the_same.png").write_bytes(truncated)
    (photos / "3" / "older.png").write_bytes((photos / "2" / "person_4.png").read_bytes())
    (photos / "2" / "odd\nname \"'é.png").write_bytes((photos / "2" / "person_1.png").read_bytes() + b" ")
    save(photos / "3" / "nobody.png", np.full((90, 90, 3), 128, np.uint8))
    save(photos / "130" / "too_old.png", draw_face(100, 50))
    (photos / "notes.txt").write_text("not in a folder of an age")
    (photos / ".DS_Store").touch()
    (photos / "3" / "loop").symlink_to(photos)
    save(photos / "3" / "bomb.png", np.zeros((2000, 2000, 3), np.uint8))
    os.mkfifo(photos / "3" / "pipe.jpg")
    files = [path for path in photos.rglob("*") if not path.is_dir()]

    done = terminal.run("prepare", *SOURCE, "max_pixels=1000000")
    assert done.returncode == 3, done.stderr
    status = {row["name"]: row["status"] for row in terminal.rows()}
    assert len(terminal.rows()) == len(files) == len(status)
    assert {name: found for name, found in status.items() if "person" not in name} == {
        "1/truncated.png": "unreadable",
        "1/zero.jpg": "unreadable",
        "2/text.jpg": "unreadable",
        "1/the_same.png": "duplicate",
        "3/older.png": "conflicting",
        "2/odd\nname \"'é.png": "ok",
        "3/nobody.png": "no_face",
        "3/bomb.png": "unreadable",
        "3/pipe.jpg": "unreadable",
        "130/too_old.png": "no_age",
        "notes.txt": "no_age",
        ".DS_Store": "filtered",
    }
    assert status["2/person_4.png"] == "conflicting"
    assert all(row["reason"] for row in terminal.rows() if row["status"] != "ok")
    told = json.loads((terminal.prepared() / "dataset.json").read_text())["files_by_status"]
    assert told == dict(Counter(status.values()))
    assert all(f"{count} {name}" in done.stdout for name, count in told.items())


@pytest.mark.slow
def test_a_folder_without_a_usable_photograph_ends_in_one_sentence(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    (tmp_path / "photos" / "1").mkdir(parents=True)
    assert "no file below it" in terminal.run("prepare", *SOURCE).stderr
    (tmp_path / "photos" / "1" / "a.jpg").write_text("no")
    done = terminal.run("prepare", *SOURCE)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: no usable face in 1 file (1 unreadable)")
    assert terminal.rows()[0]["status"] == "unreadable"
    gone = terminal.run("prepare", *SOURCE[:1], "source.path=nowhere", *SPLIT)
    assert (gone.returncode, gone.stderr.splitlines()[-1].split(":")[0]) == (1, "error")


def test_wrong_options_are_refused_before_any_work(
    tmp_path: Path, here: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    for arguments, message in [
        ([], "source is missing: set source=..., one of agedb, "),
        (["source=utkface"], "source.path is missing"),
        ([*SOURCE, "faces=two"], "faces = 'two': should be 'largest', 'first', 'all' or 'single'"),
        ([*SOURCE, "workers=0", "quality=basic", "quality.min_size=-1"], "2 options are wrong"),
    ]:
        done = here(tmp_path, "prepare", *arguments)
        assert done.returncode == 1
        assert message in done.stderr
        assert not list(tmp_path.rglob("*.*"))


def test_nothing_is_written_among_the_photographs(
    tmp_path: Path, here: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (tmp_path / "photos").mkdir()
    for option in ("output=photos/prepared", "store=photos/deeper/store.sqlite"):
        done = here(tmp_path, "prepare", *SOURCE, option)
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {option} lies in the folder of photographs photos")
        assert not list((tmp_path / "photos").iterdir())


@pytest.mark.slow
def test_a_command_killed_at_any_moment_continues_to_the_same_bytes(terminal: Terminal) -> None:
    generator = random.Random(1)
    command = ["prepare", *SOURCE, "output=outputs/prepared/killed", "store=killed.sqlite"]
    for _ in range(6):
        process = terminal.start(*command)
        time.sleep(generator.uniform(0.5, 9))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    done = terminal.run(*command)
    assert done.returncode == 0, done.stderr
    assert results(terminal.prepared("killed")) == results(terminal.prepared())


@pytest.mark.slow
def test_ctrl_c_ends_cleanly_and_the_command_continues(terminal: Terminal) -> None:
    command = ["prepare", *SOURCE, "output=outputs/prepared/stopped", "store=stopped.sqlite"]
    process = terminal.start(*command)
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in out + err, err
    assert process.returncode in (0, 130)
    assert terminal.run(*command).returncode == 0
    assert results(terminal.prepared("stopped")) == results(terminal.prepared())


@pytest.mark.slow
def test_vectors_of_inner_blocks_are_made_side_by_side_and_probed(terminal: Terminal) -> None:
    blocks = {"last_linear": 512, "stem": 256}
    made = terminal.run(
        "prepare", "-m", *SOURCE[:2], "split=none",
        f"embedder.layer={','.join(blocks)}", "hydra.sweep.dir=probed", "hydra.sweep.subdir=${embedder.layer}",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "256 numbers each, facenet-20180408-102900-704afe26, stem\n" in made.stdout
    sets = {block: storage.load(terminal.folder / "probed" / block / "vectors.arrow") for block in blocks}
    assert {block: vs.dimension for block, vs in sets.items()} == blocks
    assert list(sets["stem"].names) == list(sets["last_linear"].names)
    assert "/normalized/stem/" in sets["stem"].encoder
    left_out = [
        f"~hydra.sweeper.entries.{model}-{block}"
        for model in ("ridge", "network", "kernel")
        for block in BLOCKS
        if model != "ridge" or block not in blocks
    ]
    command = ["experiment=probe", "dataset.path=probed", *SPLIT, "split.seed=range(2)", "hydra.sweep.dir=probes"]
    probed = terminal.run("train", *command, *left_out)
    assert probed.returncode == 0, probed.stderr
    rows = table(terminal.folder / "probes" / "leaderboard.csv")
    assert sorted(row["entry"] for row in rows) == ["ridge-last_linear", "ridge-stem"]
    merged = terminal.run(
        "prepare", "source=vectors", "source.path=[probed/stem/vectors.arrow,probed/last_linear/vectors.arrow]"
    )
    assert merged.returncode == 1
    assert "embedder.layer last_linear, stem" in merged.stderr


def snapshot(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir() if path.suffix not in (".log", "")}


def results(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".arrow", ".csv", ".json", ".png")
    }
