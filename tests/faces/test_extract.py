"""Extraction: a row for every file, only new work, and rows that do not depend on how the work was cut."""

import os
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_face import save
from toys import Halves, MeanColour, OfMachine, Picky, Sideways

from vec2uage.base.csv_file import read_csv
from vec2uage.base.errors import UserError
from vec2uage.base.interrupt import Interrupted
from vec2uage.data import storage
from vec2uage.data.readers import read
from vec2uage.faces.crop import Crop
from vec2uage.faces.extract import Extracted, extract
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.gather import Gathered
from vec2uage.faces.quality import BasicQuality, NoQuality
from vec2uage.faces.records import Photograph, Row
from vec2uage.faces.rows import to_vectors, write_table
from vec2uage.faces.sources.walk import walk
from vec2uage.faces.store import open_store

OPTIONS = Extraction(
    detector=Halves(),
    faces="largest",
    crop=Crop(size=8, margin=0.0),
    quality=NoQuality(),
    embedder=MeanColour(),
    max_pixels=10_000,
    keep_crops=None,
)


def picture(folder: Path, name: str, colour: tuple[int, int, int], age: float | None = 5.0) -> Photograph:
    path = save(folder / name, np.full((20, 30, 3), colour, np.uint8))
    return Photograph(path, name, age, source="toys")


def pictures(folder: Path, count: int) -> list[Photograph]:
    return [picture(folder, f"{k:02d}.png", (10 * k + 1, 7, 200 - k)) for k in range(count)]


def run(photographs: list[Photograph], folder: Path, how: Extraction = OPTIONS, workers: int = 2) -> Extracted:
    with open_store(folder / "store.sqlite") as store:
        return extract(photographs, how, store, workers, "cpu", threading.Event())


def same(one: Extracted, other: Extracted) -> bool:
    def told(row: Row) -> tuple[Row, bytes]:
        return replace(row, vector=None), b"" if row.vector is None else row.vector.tobytes()

    return [*map(told, one.rows)] == [*map(told, other.rows)]


def stored(folder: Path, table: str) -> int:
    with closing(sqlite3.connect(folder / "store.sqlite")) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_every_file_ends_in_one_row_that_says_what_became_of_it(tmp_path: Path):
    folder = tmp_path / "photos"
    good = pictures(folder, 6)
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no picture")
    files = [
        *good,
        Photograph(folder / "empty.jpg", "empty.jpg", 4.0),
        Photograph(folder / "text.jpg", "text.jpg", 4.0),
        Photograph(folder / "gone.jpg", "gone.jpg", 4.0),
        picture(folder, "black.png", (0, 0, 0)),
        replace(picture(folder, "old.png", (9, 9, 9)), age=None, problem="no age"),
        replace(picture(folder, "left_out.png", (9, 9, 8)), problem="left out", problem_status="filtered"),
        picture(folder, "again.png", (1, 7, 200)),
        Photograph(save(folder / "bomb.png", np.zeros((200, 200, 3), np.uint8)), "bomb.png", 3.0),
    ]
    rows = run(files, tmp_path).rows
    assert [row.photograph.name for row in rows] == [photograph.name for photograph in files]
    status = {row.photograph.name: row.status for row in rows}
    assert status == {
        **{photograph.name: "ok" for photograph in good},
        **dict.fromkeys(["empty.jpg", "text.jpg", "gone.jpg", "bomb.png"], "unreadable"),
        "black.png": "no_face",
        "old.png": "no_age",
        "left_out.png": "filtered",
        "again.png": "duplicate",
    }
    reason = {row.photograph.name: row.reason for row in rows}
    assert all(reason[name] for name, found in status.items() if found != "ok")
    assert reason["again.png"] == "the same file as 00.png"
    hashed = {row.photograph.name for row in rows if row.hashes}
    assert hashed == status.keys() - {"gone.jpg"}
    for row in rows[:6]:
        assert row.vector is not None
        k = int(row.photograph.name[:2])
        np.testing.assert_array_equal(row.vector, np.float32([2 * (10 * k + 1), 14, 2 * (200 - k)]))


def test_of_facts_that_exclude_each_other_none_is_chosen(tmp_path: Path):
    grey, link = picture(tmp_path / "photos", "1/grey.png", (9, 9, 9)), tmp_path / "photos/link.png"
    link.symlink_to(grey.path)

    def told(**facts) -> dict[str, tuple[str, str]]:
        """What becomes of one content that two files hold, of which only the second is described so."""
        rows = run([replace(grey, gender="male", subject="p1"), replace(grey, path=link, **facts)], tmp_path).rows
        return {row.photograph.name: (row.status, row.reason) for row in rows}

    for facts, values in [
        ({"age": 35.0}, ("age", "5 for 1/grey.png", "35 for link.png")),
        ({"gender": "female"}, ("gender", "male for 1/grey.png", "female for link.png")),
        ({"subject": "p2"}, ("subject", "p1 for 1/grey.png", "p2 for link.png")),
    ]:
        rows = told(name="link.png", **facts)
        assert {status for status, _ in rows.values()} == {"conflicting"}
        assert all(value in reason for _, reason in rows.values() for value in values)
    filtered = {"problem": "left out", "problem_status": "filtered"}  # what a filter hides is known all the same
    assert [row[0] for row in told(name="link.png", age=35.0, **filtered).values()] == ["conflicting", "filtered"]
    (tmp_path / "photos/empty.png").touch()
    empty = [Photograph(tmp_path / "photos/empty.png", name, age) for name, age in (("1/e.png", 1.0), ("2/e.png", 2.0))]
    assert [row.status for row in run(empty, tmp_path).rows] == ["unreadable", "duplicate"]
    for facts in ({}, {"age": None, "problem": "no age"}, {"subject": "q1", "part": "another source"}):
        assert next(iter(told(name="link.png", **facts).values())) == ("ok", "")


def test_a_name_of_any_bytes_is_a_row_and_the_name_of_a_vector(tmp_path: Path):
    folder = tmp_path / "photos"
    odd = [
        b"f\xe4ces",
        b"new\nline",
        b"return\r",
        b"tab\t",
        b"quote'\"",
        b"-dash",
        b"x" * 250,
        "\u00fc".encode(),
        "u\u0308".encode(),
    ]
    for number, name in enumerate(odd):
        save(folder / f"{number}.png", np.full((20, 30, 3), 10 + number, np.uint8)).rename(
            folder / os.fsdecode(name + b".png")
        )
    rows = run(walk(folder, "odd"), tmp_path).rows
    assert {row.status for row in rows} == {"ok"}
    write_table(rows, tmp_path / "faces.csv")
    table = [row["name"] for row in read_csv(tmp_path / "faces.csv")]
    vectors = to_vectors([replace(row, photograph=replace(row.photograph, age=5.0)) for row in rows], "toy")
    assert vectors is not None
    storage.save(vectors, tmp_path / "vectors.arrow")
    shown = {"f\\udce4ces.png", *(name.decode() + ".png" for name in odd[1:])}
    assert set(table) == set(read(tmp_path / "vectors.arrow").names) == shown


def test_a_second_run_looks_into_nothing_and_finds_the_same(tmp_path: Path):
    files = pictures(tmp_path / "photos", 9)
    first, second = run(files, tmp_path), run(files, tmp_path)
    assert (first.opened, second.opened) == (9, 0)
    assert same(first, second)


@pytest.mark.parametrize(
    "damage",
    [
        "detections SET found='{\"faces\": []}'",
        "signatures SET signature=''",
        "measures SET measured='{\"sharpness\": 1}'",
        "vectors SET vector=zeroblob(16)",
        "files SET sha256='0'",
    ],
)
def test_what_is_damaged_in_the_store_is_made_again(damage: str, tmp_path: Path):
    files = pictures(tmp_path, 2)
    first = run(files, tmp_path)
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection, connection:
        connection.execute(f"UPDATE {damage}")
    again = run(files, tmp_path)
    assert same(first, again)
    assert again.opened == (0 if damage.startswith("files") else 2)


def test_only_new_photographs_are_opened(tmp_path: Path):
    files = pictures(tmp_path / "photos", 9)
    run(files[:4], tmp_path)
    rest = run(files, tmp_path)
    assert rest.opened == 5
    assert same(rest, run(files, tmp_path / "apart"))


def test_a_changed_detector_keeps_the_vectors_of_unchanged_boxes(tmp_path: Path):
    files = pictures(tmp_path / "photos", 5)
    first = run(files, tmp_path)
    renamed = run(files, tmp_path, replace(OPTIONS, detector=Halves(name="others")))
    assert renamed.opened == 5
    assert (stored(tmp_path, "detections"), stored(tmp_path, "vectors")) == (10, 5)
    assert same(first, renamed)
    run(files, tmp_path, replace(OPTIONS, detector=Halves(count=2)))
    assert (stored(tmp_path, "detections"), stored(tmp_path, "vectors")) == (15, 10)


def test_an_encoder_is_told_by_all_that_moves_its_vectors_and_by_nothing_else():
    changes = [
        {"crop": Crop(size=None, margin=0.0)},
        {"crop": Crop(size=8, margin=0.1)},
        {"crop": Crop(size=8, margin=0.0, align="points"), "detector": Sideways()},
        {"detector": Sideways()},
        {"detector": Halves(count=2)},
        {"embedder": Picky()},
    ]
    assert len({replace(OPTIONS, **change).encoder for change in [{}, *changes]}) == 1 + len(changes)
    assert replace(OPTIONS, faces="all", max_pixels=9, embedder=OfMachine(precision="bf16")).encoder == OPTIONS.encoder


def test_crops_are_aligned_only_where_the_detector_gives_points():
    with pytest.raises(UserError, match=r"crop\.align.*detector=yunet"):
        replace(OPTIONS, crop=Crop(size=8, margin=0.0, align="points"))


@pytest.mark.parametrize("align", ["box", "points"])
def test_a_photograph_that_lies_on_its_side_is_cut_upright(align: str, tmp_path: Path):
    half = np.zeros((30, 20, 3), np.uint8)
    half[:15], half[15:] = (200, 0, 0), (0, 200, 0)  # red above green
    upright, lying = (
        Photograph(save(tmp_path / f"{turn}.png", np.rot90(half, turn)), str(turn), 5.0) for turn in (0, 1)
    )
    how = replace(OPTIONS, detector=Sideways(), crop=Crop(size=8, margin=0.0, align=align))
    turning = replace(how, turns=(90, 180, 270))
    assert [row.status for row in run([upright, lying], tmp_path, how).rows] == ["ok", "no_face"]
    rows = run([upright, lying], tmp_path, turning).rows
    assert [row.face.turn for row in rows] == [0, 90]
    assert rows[0].vector.tobytes() == rows[1].vector.tobytes()
    assert run([upright, lying], tmp_path, turning).opened == 0
    assert [row.status for row in run([upright, lying], tmp_path, how).rows] == ["ok", "no_face"]


def test_vectors_of_a_machine_of_another_precision_are_not_made_again(tmp_path: Path):
    photographs = pictures(tmp_path / "photos", 3)
    here, there = (replace(OPTIONS, embedder=OfMachine(precision=precision)) for precision in ("bf16", "float32"))
    first, again = (run(photographs, tmp_path, how) for how in (here, there))
    assert (first.opened, again.opened) == (3, 0)
    assert same(first, again)


def test_what_a_set_was_made_of_is_the_same_on_machines_whose_last_bits_differ(tmp_path: Path):
    rows = run(pictures(tmp_path / "photos", 3), tmp_path).rows
    vectors = to_vectors(rows, OPTIONS.encoder)
    gathered = Gathered(vectors, rows)
    elsewhere = replace(vectors, vectors=vectors.vectors * np.float32(1 + 1e-6))
    assert Gathered(elsewhere, rows).fingerprint() == gathered.fingerprint()
    older = [replace(rows[0], photograph=replace(rows[0].photograph, age=6.0)), *rows[1:]]
    cropped = replace(vectors, encoder=replace(OPTIONS, crop=Crop(size=8, margin=0.1)).encoder)
    others = [Gathered(vectors, older), Gathered(cropped, rows), Gathered(vectors, rows, ("file",))]
    assert len({found.fingerprint() for found in [gathered, *others]}) == 4


def test_thresholds_of_quality_need_no_second_look(tmp_path: Path):
    files = pictures(tmp_path / "photos", 5)
    options = {"min_sharpness": 0.0, "min_brightness": 0.0, "max_brightness": 255.0, "max_clipped": 1.0}
    loose, tight = (replace(OPTIONS, quality=BasicQuality(min_size=size, **options)) for size in (1, 25))
    assert {row.status for row in run(files, tmp_path, loose).rows} == {"ok"}
    refused = run(files, tmp_path, tight)
    assert refused.opened == 0
    assert {row.status for row in refused.rows} == {"too_small"}
    assert refused.rows[0].measures == {"size": 20.0, "sharpness": 0.0, "brightness": 27.21, "clipped": 0.0}


def test_all_faces_have_a_row_each_and_single_refuses_several(tmp_path: Path):
    files = pictures(tmp_path / "photos", 2)
    two = replace(OPTIONS, detector=Halves(count=2))
    rows = run(files, tmp_path, replace(two, faces="all")).rows
    assert [(row.photograph.name, row.number) for row in rows] == [
        (name, number) for name in ("00.png", "01.png") for number in (1, 2)
    ]
    assert {row.status for row in run(files, tmp_path, replace(two, faces="single")).rows} == {"several_faces"}


def test_a_photograph_that_kills_its_process_is_unreadable_and_tried_again(tmp_path: Path):
    files = [*pictures(tmp_path / "photos", 7), picture(tmp_path / "photos", "red.png", (255, 0, 0))]
    rows = run(files, tmp_path).rows
    assert [row.status for row in rows] == ["ok"] * 7 + ["unreadable"]
    assert "killed" in rows[-1].reason
    assert run(files, tmp_path).opened == 1


def test_stopped_work_is_kept(tmp_path: Path):
    files = pictures(tmp_path / "photos", 12)
    stop = threading.Event()
    stop.set()
    with open_store(tmp_path / "store.sqlite") as store, pytest.raises(Interrupted):
        extract(files, OPTIONS, store, 2, "cpu", stop)
    assert same(run(files, tmp_path), run(files, tmp_path / "apart"))


def test_crops_are_kept_only_where_asked_for(tmp_path: Path):
    files = pictures(tmp_path / "photos", 3)
    run(files, tmp_path)
    assert not list(tmp_path.rglob("crops"))
    kept = replace(OPTIONS, keep_crops=tmp_path / "crops")
    assert run(files, tmp_path, kept).opened == 3
    assert len(list((tmp_path / "crops").glob("*.png"))) == 3
    assert run(files, tmp_path, kept).opened == 0


def test_what_fails_for_the_moment_is_tried_again(tmp_path: Path):
    files = [*pictures(tmp_path / "photos", 3), picture(tmp_path / "photos", "odd.png", (0, 0, 255))]
    rows = run(files, tmp_path, replace(OPTIONS, detector=Halves(name="fails"))).rows
    assert [row.status for row in rows] == ["ok"] * 3 + ["unreadable"]
    assert "looking into it failed: RuntimeError: blue" in rows[-1].reason
    assert [row.status for row in run(files, tmp_path).rows] == ["ok"] * 4


def test_what_one_embedder_refuses_another_may_take(tmp_path: Path):
    files = pictures(tmp_path / "photos", 3)
    refused = run(files, tmp_path, replace(OPTIONS, embedder=Picky()))
    assert {row.status for row in refused.rows} == {"too_small"}
    assert {row.status for row in run(files, tmp_path).rows} == {"ok"}
    assert same(refused, run(files, tmp_path, replace(OPTIONS, embedder=Picky())))


def test_a_replaced_file_of_the_same_size_and_time_is_seen(tmp_path: Path):
    (first,) = files = pictures(tmp_path / "photos", 1)
    before = first.path.stat()
    run(files, tmp_path)
    content = bytearray(first.path.read_bytes())
    first.path.write_bytes(content[:-1] + b"x")
    os.utime(first.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run(files, tmp_path).opened == 1
