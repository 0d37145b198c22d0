"""Photographs that a table or the folder of an age describes."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from shipped import source

from vec2uage.base.errors import UserError
from vec2uage.faces.gather import find_photographs


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def table(folder: Path, text: str, *overrides: str) -> Any:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    return source("table", f"source.path={folder}/t.csv", *overrides)


def test_a_csv_may_have_all_columns(tmp_path):
    touch(tmp_path, "a.jpg", "sub/b,1.jpg", "ü.jpg", "c\nd.jpg")
    text = (
        "note,age,path,subject,gender,source\n"
        'x,07,"sub/b,1.jpg",p1,F,case 12\ny,12.5,a.jpg,007,male,\n,,ü.jpg,,,\n,3,"c\nd.jpg",,,\n'
    )
    found = table(tmp_path, text).find()
    assert [(p.name, p.age, p.subject, p.gender, p.source) for p in found] == [
        ("a.jpg", 12.5, "007", "male", "table"),
        ("c\nd.jpg", 3, "", "", "table"),
        ("sub/b,1.jpg", 7, "p1", "female", "case 12"),
        ("ü.jpg", None, "", "", "table"),
    ]
    assert found[-1].problem == "no age"
    assert found[2].path == tmp_path / "sub/b,1.jpg"


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_csv_is_read_however_it_is_written(tmp_path, delimiter):
    touch(tmp_path, "a,b.jpg")
    text = f"\ufeffPath{delimiter} AGE \na,b.jpg{delimiter}3\n"
    assert [(p.name, p.age) for p in table(tmp_path, text).find()] == [("a,b.jpg", 3)]


def test_parquet_of_any_types_is_the_same_as_csv(tmp_path):
    touch(tmp_path, "photos/a.jpg")
    columns = {"path": ["a.jpg", "b.jpg"], "age": [3, None], "subject": [12.0, float("nan")], "gender": ["m", None]}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = source("table", f"source.path={tmp_path}/t.parquet", f"source.root={tmp_path}/photos").find()
    assert [(p.path.name, p.age, p.subject, p.gender) for p in found] == [
        ("a.jpg", 3, "12", "male"),
        ("b.jpg", None, "", ""),
    ]
    assert found[0].path == tmp_path / "photos/a.jpg"


def test_what_differs_in_form_alone_is_one_person_and_a_missing_source_none(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    text = "path,age,subject,source\na.jpg,1,M\u00fcller,nan\nb.jpg,1,Mu\u0308ller,None\nc.jpg,1,nan,x\nd.jpg,1,12.0,\n"
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    found = find_photographs(source("table", f"source.path={tmp_path}/t.csv"), prefixed=False)
    assert [photograph.subject for photograph in found] == ["M\u00fcller", "M\u00fcller", "", "12"]
    assert [photograph.source for photograph in found] == ["table", "table", "x", "table"]


def test_persons_that_single_precision_cannot_tell_apart_are_refused(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg")
    persons = pa.array([2**24, 2**24 + 1], pa.float64()).cast(pa.float32(), safe=False)
    parquet.write_table(
        pa.table({"path": ["a.jpg", "b.jpg"], "age": [1, 2], "subject": persons}), tmp_path / "t.parquet"
    )
    with pytest.raises(UserError, match="stands for many whole numbers"):
        source("table", f"source.path={tmp_path}/t.parquet").find()


def test_a_row_that_names_a_file_again_is_kept_apart_and_any_name_is_a_row(tmp_path):
    touch(tmp_path, "a.jpg")
    long = "b" * 300 + ".jpg"  # no file can have this name
    found = table(tmp_path, f"path,age\na.jpg,3\na.jpg,4\na.jpg#2,5\n{long},7\na.jpg,6\n").find()
    aged = [("a.jpg", 3), ("a.jpg#2", 5), ("a.jpg#3", 4), ("a.jpg#4", 6), (long, 7)]
    assert [(p.name, p.age) for p in found] == aged


def test_a_table_of_another_kind_is_one_sentence(tmp_path):
    touch(tmp_path, "a.jpg")
    for text, message in [
        ("path,years\na.jpg,3\n", "needs one column age, but has path, years"),
        ("path,age,age\na.jpg,3,4\n", "needs one column age, but has path, age, age"),
        ("path,age\n", "lists no photographs"),
        ("", "needs one column path, but has none"),
        ('path,age\n"a.jpg,3\nb.jpg,4\n', "quote is not closed"),
        ("path,age\na.jpg,3,4\n", r"not a readable \.csv file"),
        ("path,age\n ,3\n", "row 1 has no usable path"),
        ("path,age,gender\na.jpg,3,f\na.jpg,3,x\n", "row 2: gender 'x' is not one of male, female, m, f or empty"),
        ("path,age\nb.jpg,3\nc.jpg,4\n", "none of the 2 files that .* lists is there; set source.root"),
    ]:
        with pytest.raises(UserError, match=message):
            table(tmp_path, text).find()


def test_no_table_or_no_readable_one_is_one_sentence(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "latin.csv").write_bytes("path,age\nü.jpg,3\n".encode("latin-1"))
    touch(tmp_path, "t.xlsx")
    for name, message in [
        ("none.csv", "no such file"),
        ("t.parquet", r"not a readable \.parquet file"),
        ("latin.csv", r"not a readable \.csv file .*UTF8"),
        ("t.xlsx", r"must be a \.csv or \.parquet file"),
    ]:
        with pytest.raises(UserError, match=message):
            source("table", f"source.path={tmp_path}/{name}").find()


def test_ages_are_the_folders(tmp_path):
    touch(tmp_path, "1/a.jpg", "18/deep/b.jpg", "007/c.jpg", "12.5/d.jpg", "130/e.jpg", "young/f.jpg", "g.jpg")
    found = {p.name: p for p in source("visage", f"source.path={tmp_path}").find()}
    assert {name: p.age for name, p in found.items() if p.age is not None} == {
        "1/a.jpg": 1,
        "18/deep/b.jpg": 18,
        "007/c.jpg": 7,
        "12.5/d.jpg": 12.5,
    }
    assert found["130/e.jpg"].problem == "folder '130': age 130 is not between 0 and 120"
    assert found["young/f.jpg"].problem == "folder 'young': age 'young' is not a number"
    assert "not in a folder" in found["g.jpg"].problem


def test_a_folder_of_two_ages_is_refused(tmp_path):
    touch(tmp_path, "real/1/a.jpg")
    (tmp_path / "real/01").symlink_to("1")
    made = source("visage", f"source.path={tmp_path}/real")
    assert [photograph.age for photograph in made.find()] == [1.0]
    (tmp_path / "real/5").symlink_to("1")
    with pytest.raises(UserError, match="another age"):
        made.find()


def test_genders_come_from_a_table_or_it_is_one_sentence(tmp_path, caplog):
    touch(tmp_path, "v/1/a.jpg", "v/2/b.jpg", "v/2/c.jpg")
    made = source("visage", f"source.path={tmp_path}/v", f"source.gender_table={tmp_path}/g.csv")
    for rows in ("path,gender\n1/a.jpg,female\n2/b.jpg,M\n", "name,gender\na.jpg,F\nb.jpg,male\n"):
        (tmp_path / "g.csv").write_text(rows)
        assert [p.gender for p in made.find()] == ["female", "male", ""]
    assert "1 of 3 photographs are not in it" in caplog.text
    for rows, message in [
        ("file,gender\na.jpg,f\n", "needs a column path or name"),
        ("name,sex\na.jpg,f\n", "needs one column gender"),
        ("name,gender\na.jpg,f\na.jpg,m\n", "gives 'a.jpg' two genders"),
        ("name,gender\nz.jpg,f\n", "lists none of the photographs, such as 'a.jpg'"),
    ]:
        (tmp_path / "g.csv").write_text(rows)
        with pytest.raises(UserError, match=message):
            made.find()
