"""IMDB-WIKI (Rothe, Timofte and Van Gool 2018): photographs of celebrities, dated by its `.mat` metadata."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int, Shaped

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data.cells import as_label
from vec2uage.faces.records import Photograph
from vec2uage.faces.sources.base import NonEmpty, Photographs, read_age
from vec2uage.faces.sources.table import listed
from vec2uage.importers.matlab import read_struct

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUMBERS = ("dob", "photo_taken", "gender", "face_score", "second_face_score")
MATLAB_EPOCH = 366  # days by which MATLAB's day numbers, from the year 0, are ahead of Python's, from the year 1
GENDER_CODES = {0.0: "female", 1.0: "male"}
Columns = dict[str, Shaped[np.ndarray, " N"]]


@dataclass(frozen=True)
class ScoredPhotograph(Photograph):
    """A photograph with what the metadata's own face detector said of it."""

    face_score: float = np.nan
    """-inf where it found no face."""
    second_face_score: float = np.nan
    """NaN where it found no second face."""


@settings
class ImdbWiki(Photographs):
    """The photographs of `imdb.mat` or `wiki.mat`: age from the date of birth to 1 July of the photograph's year."""

    root: NonEmpty | None
    """The folder of the photographs; None: the metadata's own."""
    min_face_score: float | None
    """Takes only photographs with at least this score; None takes all."""
    max_second_face_score: float | None
    """Takes only photographs whose second face, if any, has at most this score; None takes all."""

    def find(self) -> list[Photograph]:
        table = Path(self.path)
        root = table.parent if self.root is None else Path(self.root)
        columns = read_metadata(table)
        values = (column.tolist() for column in columns.values())
        rows = (dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True))
        return listed([self._photograph(row, root) for row in rows], table, root)

    def admits(self, photograph: Photograph) -> bool:
        return (
            super().admits(photograph)
            and isinstance(photograph, ScoredPhotograph)
            and (self.min_face_score is None or photograph.face_score >= self.min_face_score)
            and (self.max_second_face_score is None or not photograph.second_face_score > self.max_second_face_score)
        )

    def figures(self) -> dict[str, "Figure"]:
        """Return the paper's Figure 1, of all photographs that the metadata lists."""
        columns = read_metadata(Path(self.path))
        return {f"{self.name}_spans": plot_spans(spans(columns["subject"], columns["photo_taken"]))}

    def _photograph(self, row: dict[str, Any], root: Path) -> ScoredPhotograph:
        path = row["full_path"]
        age, problem = _age(row["dob"], row["photo_taken"])
        outside = not path or "\0" in path or path.startswith("/") or ".." in path.split("/")
        if outside:
            age, problem = None, "the metadata gives a path that does not lie below the folder"
        return ScoredPhotograph(
            path=root / path,
            name=path.encode("utf-8", "backslashreplace").decode("utf-8"),
            age=age,
            subject=row["subject"],
            gender=GENDER_CODES.get(row["gender"], ""),
            source=self.name,
            problem=problem,
            outside=outside,
            face_score=row["face_score"],
            second_face_score=row["second_face_score"],
        )


def spans(subjects: Shaped[np.ndarray, " N"], years: Shaped[np.ndarray, " N"]) -> Int[np.ndarray, " C"]:
    """Return last minus first of each known subject's `years` (the paper's Figure 1); NaN years do not count."""
    known = (subjects != "") & np.isfinite(years)
    _, person = np.unique(subjects[known].astype(str), return_inverse=True)
    whole = years[known].astype(np.int64)
    count = person.max(initial=-1) + 1
    first, last = np.full(count, np.iinfo(np.int64).max), np.full(count, np.iinfo(np.int64).min)
    np.minimum.at(first, person, whole)
    np.maximum.at(last, person, whole)
    return last - first


def plot_spans(years: Int[np.ndarray, " C"]) -> "Figure":
    """Return a figure like the paper's Figure 1: how many celebrities have photographs over how many years."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.hist(years, bins=list(np.arange(years.max(initial=0) + 2) - 0.5), color="#0072B2")
    axes.set(xlabel="years from first to last photograph", ylabel="celebrities")
    axes.set_title(f"span of years of {len(years):,} celebrities")
    return figure


def read_metadata(path: Path) -> Columns:
    """Return the columns of `imdb.mat` or `wiki.mat`: `full_path` and `subject` (text), and `NUMBERS` (float64).

    `subject` is `celeb_id` where the file has it (IMDB), else `name`. Nothing in the file is executed. Raises
    UserError when the file is missing, damaged or of another kind.
    """
    fields = read_struct(path, ("imdb", "wiki"), (*NUMBERS, "full_path", "name", "celeb_id"))
    if fields is None:
        raise UserError(f"{path}: holds no struct imdb or wiki")
    person = "celeb_id" if "celeb_id" in fields else "name"
    needed = (*NUMBERS, "full_path", person)
    if missing := sorted(set(needed) - fields.keys()):
        raise UserError(f"{path}: its struct has no usable {', '.join(missing)}")
    if len({len(fields[name]) for name in needed}) != 1:
        raise UserError(f"{path}: its fields differ in length")
    if wrong := [name for name in needed if (fields[name].dtype == object) != (name in ("full_path", "name"))]:
        raise UserError(f"{path}: {', '.join(wrong)} of another type than in IMDB-WIKI")
    if person == "celeb_id":
        fields[person] = np.array([as_label(number, f"{path}: {person}") for number in fields[person]], dtype=object)
    return {name: fields[name] for name in (*NUMBERS, "full_path")} | {"subject": fields[person]}


def _age(born: float, year: float) -> tuple[float | None, str]:
    """Return the years from MATLAB's day number `born` to 1 July of `year`, or None and what is wrong."""
    try:
        birth, photo = date.fromordinal(int(born) - MATLAB_EPOCH), date(int(year), 7, 1)
        last = _birthday(birth, photo.year)
        if last > photo:
            last = _birthday(birth, photo.year - 1)
        part = (photo - last) / (_birthday(birth, last.year + 1) - last)
    except (ValueError, OverflowError):
        return None, f"impossible dates (born on day {born:g}, photographed in {year:g})"
    age, problem = read_age(str(last.year - birth.year + part))
    return age, problem and f"born {birth}, photographed in {year:g}: {problem}"


def _birthday(birth: date, year: int) -> date:
    leap_day = (birth.month, birth.day) == (2, 29)
    return date(year, 3, 1) if leap_day else birth.replace(year=year)
