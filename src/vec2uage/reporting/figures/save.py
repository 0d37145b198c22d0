"""Figures as files, and as text to set into a page: the same data gives the same bytes."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vec2uage.base.atomic import replacing
from vec2uage.reporting.figures.style import styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OPTIONS: dict[str, dict[str, Any]] = {"png": {"dpi": 200}, "pdf": {"metadata": {"CreationDate": None}}}


def save(figure: "Figure", folder: Path, name: str, formats: Sequence[str]) -> dict[str, Path]:
    """Write a figure as `name`.png, `name`.svg, ... whole or not at all; return the files by format."""
    paths = {}
    for suffix in formats:
        paths[suffix] = folder / f"{name}.{suffix}"
        with replacing(paths[suffix]) as temporary:
            if suffix == "svg":
                temporary.write_text(svg_text(figure), encoding="utf-8")
            else:
                with styled():
                    figure.savefig(temporary, format=suffix, **_OPTIONS.get(suffix, {}))
    return paths


def svg_text(figure: "Figure") -> str:
    """Return a figure as SVG."""
    stream = io.StringIO()
    with styled():
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()
