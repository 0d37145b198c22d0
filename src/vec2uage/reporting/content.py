"""What a report consists of, whatever it is written as: sections of text, tables and figures."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vec2uage.statistics.bootstrap import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?")  # as options have them

Cell = str | int | float | Interval | None
"""None: there is no such number."""


@dataclass(frozen=True)
class Column:
    """One column of a table: its head, and how many decimals its numbers are shown with."""

    head: str
    digits: int | None = None
    """None: text, or numbers as they are."""


@dataclass(frozen=True)
class Table:
    """Rows of cells; `name` is the stem of its files."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    """What a reader must know to read it: units, what is marked, where other numbers come from."""
    marked: frozenset[int] = frozenset()
    """The rows that stand out."""
    faint: frozenset[int] = frozenset()
    """The rows of too few faces to say much; the note says which, as only the page shows it."""

    def has_text(self, column: int) -> bool:
        """Tell whether a column holds text: it is aligned to the left and sorted as text, numbers to the right."""
        texts = [cell for row in self.rows if isinstance(cell := row[column], str)]
        return not all(map(_NUMBER.fullmatch, texts))


@dataclass(frozen=True)
class Figure:
    """A drawing with what it shows in a sentence or two; `name` is the stem of its files."""

    name: str
    caption: str
    drawing: "Drawing"


@dataclass(frozen=True)
class Section:
    """A part of the report under a heading of its own."""

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    command: str = ""
    """A command line to copy, below the paragraphs."""


@dataclass(frozen=True)
class Report:
    """A whole report: what a busy reader needs, what to beware of, and the sections that show it."""

    title: str
    summary: tuple[str, ...]
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]


def cell_text(cell: Cell, column: Column) -> str:
    """Return a cell as people read it: `2.48`, `2.48 [2.46, 2.50]`, and a dash for what does not exist.

    >>> cell_text(Interval(2.481, 2.46, 2.5), Column("mean", 2))
    '2.48 [2.46, 2.50]'
    """
    if cell is None or cell != cell:
        return "\N{EN DASH}"
    if isinstance(cell, Interval):
        estimate, low, high = (cell_text(value, column) for value in (cell.estimate, cell.low, cell.high))
        return estimate if cell.low != cell.low else f"{estimate} [{low}, {high}]"
    if isinstance(cell, str):
        return cell
    if column.digits is None:
        return f"{cell:.3g}" if isinstance(cell, float) else f"{cell}"
    return f"{cell:,.{column.digits}f}" if abs(cell) < 1e6 else f"{cell:.3g}"
