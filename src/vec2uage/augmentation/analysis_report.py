"""An analysis for people and programs: the table beside the paper's Table 1, CSV files, and two figures."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from vec2uage.augmentation.analysis import ALL_AGES, TABLE_1, CosineSummary, OperationDraws
from vec2uage.augmentation.augmenter import FaceAugmenter
from vec2uage.augmentation.drawing import identity, read_face
from vec2uage.augmentation.keep_rule import KeepRule
from vec2uage.augmentation.source_faces import SourceFace
from vec2uage.base import foreign_text
from vec2uage.base.atomic import replacing
from vec2uage.base.csv_file import read_csv, write_csv
from vec2uage.data.figures import COLOURS

if TYPE_CHECKING:
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure

COLUMNS = tuple(field.name for field in fields(CosineSummary))


def write_analysis(
    draws: Sequence[OperationDraws],
    rows: Sequence[CosineSummary],
    keep_rule: KeepRule,
    augmenter: FaceAugmenter,
    folder: Path,
) -> None:
    """Write cosines.csv, violin.png, grid.png and, last, analysis.csv."""
    cosines = [
        (each.operation, face.source.name, f"{face.source.age:g}", face.number, f"{cosine:.6f}")
        for each in draws
        for face, cosine in zip(each.faces, each.cosines.tolist(), strict=True)
    ]
    write_csv(folder / "cosines.csv", ("operation", "face", "age", "number", "cosine"), cosines)
    for name, figure in {"violin": plot_violins(draws, keep_rule), "grid": plot_grid(draws, augmenter)}.items():
        with replacing(folder / f"{name}.png") as temporary:
            figure.savefig(temporary)
    write_csv(folder / "analysis.csv", COLUMNS, [_short(asdict(row)) for row in rows])


def write_sweep(folder: Path) -> Path:
    """Put the analyses of all jobs of a sweep so far into one analysis.csv above them, with a column for the job."""
    lines: list[list[str]] = []
    header: list[str] = []
    for file in sorted(folder.glob("*/analysis.csv")):
        rows = read_csv(file)
        header = list(rows[0])
        lines += [[file.parent.name, *row.values()] for row in rows]
    write_csv(folder / "analysis.csv", ["job", *header], lines)
    return folder / "analysis.csv"


def table(rows: Sequence[CosineSummary], keep_rule: KeepRule) -> str:
    """Return the analysis as text: a line for each operation, the paper's number beside it, then the means by age."""
    everyone = [row for row in rows if row.ages == ALL_AGES]
    wide = max(len("operation"), *(len(row.operation) for row in everyone))
    long = max(len("options"), *(len(row.options) for row in everyone))
    head = f"{'operation':<{wide}}  {'options':<{long}}  {'n':>5}  {'mean':>6}  {'std':>5}  {'95% between':>15}"
    head += f"  {'above':>5}  {'below':>5}  {'band':>5}  {'kept':>4}  {'paper':>6}"
    lines = ["cosine of the embeddings before and after, and which share of them each rule would keep", head]
    for row in everyone:
        number = TABLE_1.get((row.operation, row.options))
        paper = "" if number is None else f"{number:6.4f}"
        kept = "" if keep_rule.rule == "all" else "yes" if row.kept else "no"
        lines.append(
            f"{row.operation:<{wide}}  {row.options:<{long}}  {row.n:>5}  {row.mean:6.3f}  {row.std:5.3f}  "
            f"{row.low:6.3f} .. {row.high:5.3f}  {row.above:5.0%}  {row.below:5.0%}  {row.band:5.0%}  "
            f"{kept:>4}  {paper:>6}".rstrip()
        )
    first, last = keep_rule.band
    limits = f"above: >= {keep_rule.threshold:g}, below: <= {keep_rule.threshold:g}, band: {first:g} to {last:g}"
    kept = "" if keep_rule.rule == "all" else f"; kept by its mean: {keep_rule.text()}"
    lines.append(f"{limits} (augmentation.keep){kept}")
    bands = list(dict.fromkeys(row.ages for row in rows if row.ages != ALL_AGES))
    if bands:
        mean = {(row.operation, row.ages): row.mean for row in rows}
        lines += ["", f"{'mean by age':<{wide}}  " + "  ".join(f"{band:>6}" for band in bands)]
        for row in everyone:
            of_bands = [mean.get((row.operation, band)) for band in bands]
            means = "  ".join(f"{value:6.3f}" if value is not None else " " * 6 for value in of_bands)
            lines.append(f"{row.operation:<{wide}}  {means}")
    return "\n".join(map(foreign_text.visible, lines))


def plot_violins(draws: Sequence[OperationDraws], keep_rule: KeepRule) -> "Figure":
    """Draw the distribution of each operation's cosines, the paper's numbers, and the limits of the keep rule."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(5.0, 1.1 * len(draws) + 1.5), 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(draws))
    # A violin needs values that differ; an operation without chance has one value and is a point.
    varied = [k for k, each in enumerate(draws) if np.ptp(each.cosines) > 1e-9]
    if varied:
        bodies = axes.violinplot([draws[k].cosines for k in varied], places[varied], widths=0.8, showextrema=False)
        for body in cast("list[PolyCollection]", bodies["bodies"]):
            body.set(facecolor=COLOURS[0], alpha=0.5)
    axes.plot(places, [each.cosines.mean() for each in draws], "o", color=COLOURS[0], label="mean")
    known = [(k, TABLE_1.get((each.operation, each.options))) for k, each in enumerate(draws)]
    paper = [(k, number) for k, number in known if number is not None]
    if paper:
        axes.plot(*zip(*paper, strict=True), "D", color=COLOURS[5], markersize=5, label="paper, Table 1")
    for number, limit in enumerate(limit for limit in keep_rule.limits if np.isfinite(limit)):
        label = f"kept: {keep_rule.text()}" if number == 0 else None
        axes.axhline(limit, color="#666666", linestyle="--", linewidth=1, label=label)
    axes.set_xticks(places, [re.sub("[_ ]", "\n", foreign_text.figure(each.operation)) for each in draws])
    axes.set_ylabel("cosine similarity")
    axes.set_title("Face embedding before and after each operation", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False, loc="lower left")
    return figure


def plot_grid(draws: Sequence[OperationDraws], augmenter: FaceAugmenter, faces: int = 3) -> "Figure":
    """Draw the first faces beside one augmentation of each operation, with its cosine (paper Figure 2)."""
    from matplotlib.figure import Figure

    sources = [face.source for face in draws[0].faces]
    rows = _first_of_each(sources)[:faces]
    figure = Figure(figsize=(1.35 * (len(draws) + 1), 1.6 * len(rows) + 0.15), dpi=150, layout="constrained")
    axes = figure.subplots(len(rows), len(draws) + 1, squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        original = read_face(sources[row], augmenter.extraction)
        shown = {"original": original}
        for each in draws:
            face = each.faces[row]
            drawn = face.recipe.draw(original, identity(face.source, augmenter.extraction), face.number)
            shown[f"{foreign_text.figure(each.operation)}\n{each.cosines[row]:.3f}"] = drawn
        for place, (title, image) in zip(line, shown.items(), strict=True):
            place.imshow(image)
            place.set_title(title, fontsize=7)
            place.set_axis_off()
    return figure


def _first_of_each(sources: Sequence[SourceFace]) -> list[int]:
    """Return the first place of each distinct source face."""
    places: dict[SourceFace, int] = {}
    for place, source in enumerate(sources):
        places.setdefault(source, place)
    return list(places.values())


def _short(row: Mapping[str, object]) -> list[str]:
    return [f"{row[name]:.6g}" if isinstance(row[name], float) else str(row[name]) for name in COLUMNS]
