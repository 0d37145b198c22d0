"""One report from settings to files: index.html, and every table and figure as files of their own."""

import io
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from vec2uage import __version__
from vec2uage.base.access import make_folder, refuse_link
from vec2uage.base.atomic import write_text
from vec2uage.base.errors import UserError
from vec2uage.reporting import leaderboard_page
from vec2uage.reporting.analysis import analyse
from vec2uage.reporting.collect import read_sweep
from vec2uage.reporting.compose import compose
from vec2uage.reporting.content import Report
from vec2uage.reporting.figures.save import save, svg_text
from vec2uage.reporting.formats import comma_separated, latex, markdown
from vec2uage.reporting.page import render
from vec2uage.reporting.report_settings import Format, ReportSettings
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.leaderboard import FILE as LEADERBOARD
from vec2uage.runs.leaderboard import read_leaderboard
from vec2uage.runs.tensorboard import EventLog

log = logging.getLogger(__name__)

WRITERS = {"md": markdown, "csv": comma_separated, "tex": latex}


def write(settings: ReportSettings, folder: Path) -> Report:
    """Read the sweeps and write their report into `folder`, the page last.

    Raises UserError for a sweep that cannot be read, and for a folder that holds runs.
    """
    if RunFolder(folder).result.exists() or (folder / "sweep.json").exists():
        raise UserError(f"{folder} holds runs: set hydra.run.dir to another folder")
    for name in ("tables", "figures"):
        refuse_link(folder / name)
    if boards := [path for path in map(Path, settings.sweep) if (path / LEADERBOARD).is_file()]:
        if len(settings.sweep) > 1:
            raise UserError(
                f"{boards[0]} is a leaderboard, whose report is of it alone: report on others by themselves"
            )
        if settings.by:
            raise UserError(f"by={','.join(settings.by)}: {boards[0]} is a leaderboard, and compares its entries")
        report = leaderboard_page.compose(read_leaderboard(boards[0]), boards[0].absolute().name)
        _write(report, settings, folder, boards, f"Made by vec2uage {__version__} of {boards[0].absolute().name}.")
        return report
    analyses = []
    folders = {Path(path).absolute(): Path(path) for path in settings.sweep}
    called = [absolute.name for absolute in folders]
    for absolute, path in folders.items():
        sweep = read_sweep(path, str(path) if called.count(absolute.name) > 1 else None, settings.by or ())
        missing = len(sweep.others) + len(sweep.rejects)
        count = "1 completed run" if len(sweep.runs) == 1 else f"{len(sweep.runs)} completed runs"
        for reject, reason in sweep.rejects.items():
            log.warning("%s left out: %s", reject, reason)
        log.info("%s: %s%s", sweep.folder, count, f", {missing} without figures" if missing else "")
        analyses.append(analyse(sweep, settings.seed, settings.resamples))
    report = compose(analyses, settings.seed, settings.resamples)
    # no time of its own: the same folders and options give the same bytes
    latest = max(run.result.started for analysis in analyses for run in analysis.sweep.runs)
    made = f"Made by vec2uage {__version__} of runs that began until {latest or 'an unknown time'}."
    _write(report, settings, folder, [analysis.sweep.folder for analysis in analyses], made)
    return report


def _write(report: Report, settings: ReportSettings, folder: Path, sweeps: Sequence[Path], made: str) -> None:
    _replace_earlier(report, settings.formats, folder)
    write_tables(report, folder / "tables")
    svg = draw(report, folder / "figures", settings.formats)
    if settings.tensorboard:
        write_images(report, sweeps)
    write_text(folder / "index.html", render(report, svg, made))


def write_tables(report: Report, folder: Path) -> None:
    """Write every table as Markdown, CSV and LaTeX."""
    make_folder(folder)
    for section in report.sections:
        for table in section.tables:
            for suffix, written in WRITERS.items():
                write_text(folder / f"{table.name}.{suffix}", written(table))


def draw(report: Report, folder: Path, formats: Sequence[Format]) -> dict[str, str]:
    """Write every figure in the formats asked for; return their SVGs by name."""
    make_folder(folder)
    svg = {}
    for section in report.sections:
        for figure in section.figures:
            svg[figure.name] = svg_text(figure.drawing)
            for suffix in formats:
                path = folder / f"{figure.name}.{suffix}"
                if suffix == "svg":
                    write_text(path, svg[figure.name])
                else:
                    save(figure.drawing, path)
    return svg


def _replace_earlier(report: Report, formats: Sequence[Format], folder: Path) -> None:
    """Remove the files that an earlier report has listed, and list those of this one: all others are not ours."""
    (folder / "index.html").unlink(missing_ok=True)
    listed = folder / "files.txt"
    if listed.exists():
        for name in listed.read_text(encoding="utf-8").splitlines():
            if re.fullmatch(r"(tables|figures)/[^/]+", name):
                (folder / name).unlink(missing_ok=True)
    tables = [table.name for section in report.sections for table in section.tables]
    figures = [figure.name for section in report.sections for figure in section.figures]
    files = [f"tables/{name}.{suffix}" for name in tables for suffix in WRITERS]
    files += [f"figures/{name}.{suffix}" for name in figures for suffix in formats]
    write_text(listed, "".join(f"{name}\n" for name in [*files, "index.html"]))


def write_images(report: Report, sweeps: Sequence[Path]) -> None:
    """Write the figures into a run `report` of each sweep's folder, which TensorBoard shows under IMAGES."""
    for sweep in sweeps:
        for old in (sweep / "report").glob("events.out.tfevents.*"):
            old.unlink()
        events = EventLog(sweep / "report")
        for section in report.sections:
            for figure in section.figures:
                stream = io.BytesIO()
                figure.drawing.savefig(stream, format="png", dpi=200)
                events.image(figure.name, stream.getvalue())
        events.close("completed")
