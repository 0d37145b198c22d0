"""The report as one page of HTML that needs nothing beside it."""

import base64
from collections.abc import Mapping
from importlib import resources

import jinja2
from markupsafe import Markup

from vec2uage.reporting.content import Cell, Column, Figure, Report, Table, shown
from vec2uage.reporting.figures.style import COLUMN
from vec2uage.statistics.bootstrap import Interval

_LONG = 30
"""Tables with more rows scroll in a box of their own."""
_SEARCHED = 20
"""Tables with more rows can be searched."""


def render(report: Report, svg: Mapping[str, str], made: str) -> str:
    """Return the page; `svg` has the drawing of each figure by its name, `made` says when and by what it was made.

    Nothing in it is loaded from anywhere, and a browser is told not to try.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.globals |= {
        "cells": _cells,
        "is_wide": _is_wide,
        "is_number": _is_number,
        "long": _LONG,
        "searched": _SEARCHED,
    }
    images = {
        name: "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode() for name, text in svg.items()
    }
    tables, figures = (
        {
            part.name: number
            for number, part in enumerate((p for section in report.sections for p in getattr(section, kind)), 1)
        }
        for kind in ("tables", "figures")
    )
    template = environment.from_string(_file("page.html.jinja"))
    return template.render(
        report=report,
        images=images,
        table_numbers=tables,
        figure_numbers=figures,
        made=made,
        # our own files, and so no risk
        css=Markup(_file("page.css")),
        js=Markup(_file("page.js")),
    )


def _cells(table: Table, row: tuple[Cell, ...]) -> list[tuple[str, str]]:
    """Return each cell as it is shown and as it is sorted; what does not exist is sorted by nothing."""
    return [(shown(cell, column), _sorted_by(cell)) for cell, column in zip(row, table.columns, strict=True)]


def _sorted_by(cell: Cell) -> str:
    value = cell.estimate if isinstance(cell, Interval) else cell
    return "" if value is None or value != value else str(value)


def _is_number(table: Table, column: Column) -> bool:
    """Tell whether a column is sorted by value and set to the right."""
    place = table.columns.index(column)
    return not any(isinstance(row[place], str) for row in table.rows)


def _is_wide(figure: Figure) -> bool:
    """Tell whether a figure is drawn for both columns of a paper."""
    return bool(figure.drawing.get_figwidth() > COLUMN * 1.5)


def _file(name: str) -> str:
    return resources.files("vec2uage.reporting").joinpath(name).read_text(encoding="utf-8")
