"""Tables of any number of rows for a page that shows some at a time: to sort, to filter and to search."""

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup

from vec2uage.base.foreign_text import visible

MOST = 100_000
"""Rows of a page, so that a browser opens it at once; the first of them by their rank."""
DIGITS = 6
"""Decimals that numbers keep on the page."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

Kind = Literal["text", "years", "count", "probability"]
"""How the page shows and sorts a column (`KINDS` of page.js)."""
Ask = Literal["of", "at least", "at most"]
"""By what rows can be asked for (`ASK` of page.js); `of`: one of the column's texts, of which `; ` joins several."""
Value = str | float | int | None


@dataclass(frozen=True)
class ListedColumn:
    """A column: its head, what it holds, and by what rows can be asked for."""

    head: str
    kind: Kind = "text"
    ask: Ask | None = None

    @property
    def json(self) -> Markup:
        """Return it as the page reads it."""
        return _json({"head": self.head, "kind": self.kind, "ask": self.ask})


@dataclass
class Listing:
    """The rows of a table that come first, in bounded memory; `name` is its own on the page."""

    name: str
    title: str
    columns: Sequence[ListedColumn]
    note: str = ""
    most: int = MOST
    seen: int = 0
    """How many rows there are, with those left out."""
    _kept: list[tuple[tuple[float, ...], int, str]] = field(default_factory=list)
    """A heap, the last of the order on top."""

    def add(self, rank: tuple[float, ...], row: Sequence[Value]) -> None:
        """Take a row; those of the lowest rank come first, and of one rank those that were added first."""
        key = tuple(-part for part in rank), -self.seen
        self.seen += 1
        if len(self._kept) < self.most:
            heapq.heappush(self._kept, (*key, _row(row)))
        elif key > self._kept[0][:2]:
            heapq.heapreplace(self._kept, (*key, _row(row)))

    @property
    def is_cut(self) -> bool:
        """Tell whether rows are left out."""
        return self.seen > self.most

    def rows(self) -> Iterator[Markup]:
        """Yield the rows in their order, each as JSON."""
        for _, _, row in sorted(self._kept, reverse=True):
            yield Markup(row)


def _row(values: Sequence[Value]) -> str:
    return _json([_shown(value) for value in values])


def _shown(value: Value) -> Value:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, float):
        return round(value, DIGITS) if value == value else None
    return value


def _json(value: object) -> Markup:
    """Return JSON that ends no script of a page."""
    return Markup(_ENCODER.encode(value).replace("<", r"\u003c"))
