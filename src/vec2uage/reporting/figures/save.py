"""Figures as PNG and PDF files, and as SVG text for a page: the same data gives the same bytes."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vec2uage.base.atomic import replacing
from vec2uage.reporting.figures.style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OPTIONS: dict[str, dict[str, Any]] = {".png": {"dpi": 200}, ".pdf": {"metadata": {"CreationDate": None}}}


def save(figure: "Figure", path: Path) -> None:
    """Write a figure as a PNG or PDF file, by the suffix of `path`, whole or not at all."""
    with replacing(path) as temporary, styled():
        figure.savefig(temporary, **_OPTIONS[path.suffix])


def svg_text(figure: "Figure") -> str:
    """Return a figure as SVG."""
    stream = io.StringIO()
    with styled():
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
