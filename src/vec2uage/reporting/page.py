"""The report as one HTML page that needs nothing beside it."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from importlib import resources

import jinja2
from markupsafe import Markup

from vec2uage.base.foreign_text import visible
from vec2uage.reporting.content import Cell, Column, Report, Table, cell_text
from vec2uage.statistics.bootstrap import Interval

_SEARCHED = 12
"""Tables with more rows can be searched."""
_LONG = 30
"""Tables with more rows scroll in a box of their own."""
_PROSE = 40
"""Cells with more characters are broken into lines."""
_ENLARGED = 8
"""Rem to an inch of a figure: a third larger than in print, as a screen is further away."""
_PACKAGE = "vec2uage.reporting"


def render(report: Report, svg: Mapping[str, str], made: str) -> str:
    """Return the page; `svg` has each figure's drawing by its name, `made` says when and by what it was made.

    Nothing in it is loaded from anywhere, and its policy has the browser refuse whatever else would be.
    """
    return "".join(stream(report, svg, made))


def stream(report: Report, svg: Mapping[str, str], made: str, package: str = _PACKAGE, **more: object) -> Iterator[str]:
    """Yield the page of `render` in pieces, so that it may be of any size.

    The template of another `package` extends it by what it makes of `more`, and so do its style and its script.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _file(*name.split("/"))),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_visible,
    )
    environment.globals |= {"numeric_columns": _numeric_columns, "cell_parts": _cell_parts}
    packages = dict.fromkeys([_PACKAGE, package])
    script = "".join(_file(each, "page.js") for each in packages)
    pieces = environment.get_template(f"{package}/page.html.jinja").stream(
        report=report,
        images={name: f"data:image/svg+xml;base64,{_base64(text.encode())}" for name, text in svg.items()},
        made=made,
        searched=_SEARCHED,
        long=_LONG,
        prose=_PROSE,
        enlarged=_ENLARGED,
        # Our own files need no escaping, and the script's hash lets no other script run.
        style=Markup("".join(_file(each, "page.css") for each in packages)),
        script=Markup(script),
        script_hash=_base64(hashlib.sha256(script.encode()).digest()),
        **more,
    )
    pieces.enable_buffering(1000)
    return pieces


def _numeric_columns(table: Table) -> list[bool]:
    """Tell which columns are set to the right and sorted by value: those without text."""
    return [not table.has_text(column) for column in range(len(table.columns))]


def _cell_parts(cell: Cell, column: Column) -> tuple[str, str | None]:
    """Return a cell's text, and the value it is sorted by if that is another: nothing for what does not exist."""
    text = cell_text(cell, column)
    if isinstance(cell, str):
        return text, None
    value = cell.estimate if isinstance(cell, Interval) else cell
    if value is None or value != value:
        return text, ""
    return text, str(value).replace("inf", "Infinity")  # as JavaScript reads it


def _visible(value: object) -> object:
    return value if isinstance(value, Markup) or not isinstance(value, str) else visible(value)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _file(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")
