"""One report from configuration to files: index.html, and every table and figure as files of their own."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from vec2uage.base import cli
from vec2uage.base.atomic import write_text
from vec2uage.base.errors import UserError
from vec2uage.base.provenance import provenance
from vec2uage.reporting import formats
from vec2uage.reporting.analysis import Analysis, analyse
from vec2uage.reporting.collect import read_sweep
from vec2uage.reporting.compose import compose
from vec2uage.reporting.content import Report
from vec2uage.reporting.spec import ReportSettings, from_config
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.tensorboard import EventLog

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> None:
    """Write the report that `cfg` describes into Hydra's output folder; print its summary and where its files are.

    A mistake of the user's ends the program with a sentence.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        report = write(from_config(cfg), folder)
    except Exception as error:
        cli.end(error)  # here, as Hydra would put a line of its own before the sentence
    shown = cli.shown(folder)
    lines = [*report.summary, *(f"Beware: {warning}" for warning in report.warnings)]
    print("\n".join(lines))
    print(f"\npage:    {shown}/index.html\ntables:  {shown}/tables\nfigures: {shown}/figures")


def write(settings: ReportSettings, folder: Path) -> Report:
    """Read the sweeps and write their report into `folder`, the page last.

    Raises UserError for a sweep that cannot be read, and for a folder that holds runs.
    """
    if RunFolder(folder).result.exists() or (folder / "sweep.json").exists():
        raise UserError(f"{folder} holds runs: set hydra.run.dir to another folder")
    analyses = []
    for path in dict.fromkeys(settings.sweep):
        sweep = read_sweep(Path(path))
        log.info(
            "%s: %d completed runs, %d others", sweep.folder, len(sweep.runs), len(sweep.others) + len(sweep.rejects)
        )
        analyses.append(analyse(sweep, settings.seed, settings.resamples))
    report = compose(analyses)
    write_tables(report, folder / "tables")
    svg = draw(report, folder / "figures", settings)
    if settings.tensorboard:
        write_images(analyses, folder / "figures")
    made = f"Made on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by vec2uage {provenance()['vec2uage']}."
    write_text(folder / "index.html", render(report, svg, made))
    return report
