"""One case from settings to files: what became of every file, tables, exports, a page, and last of all `case.json`."""

import logging
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Event

from vec2uage.base.arguments import option, shown
from vec2uage.base.atomic import remove_unfinished
from vec2uage.base.errors import UserError
from vec2uage.base.foreign_text import visible
from vec2uage.base.formatting import counted
from vec2uage.base.interrupt import interruptible_keeping
from vec2uage.base.lock import only_user_of
from vec2uage.base.manifest import describe, find_manifest, write_manifest
from vec2uage.base.provenance import code_fingerprint
from vec2uage.case.drift import judge
from vec2uage.case.info import CaseInfo
from vec2uage.case.journal import Journal, open_journal
from vec2uage.case.known import Known, read_known
from vec2uage.case.open_predictor import open_predictor
from vec2uage.case.page import write_page
from vec2uage.case.predict_settings import PredictSettings
from vec2uage.case.predictor import Predictor
from vec2uage.case.records import FAILED, Results
from vec2uage.case.reliability import with_doubts
from vec2uage.case.summary import Summary, summarise
from vec2uage.case.tables import write_tables
from vec2uage.case.vectors import estimate_all
from vec2uage.case.work import examine_all
from vec2uage.config.command import Invocation
from vec2uage.data.vectorset import VectorSet
from vec2uage.evaluation import statement, statement_page
from vec2uage.faces.pool import processes

log = logging.getLogger(__name__)

MANIFEST, PAGE = "case.json", "case.html"
WITH_FAILED_FILES = 3  # exit code: all was written, but some files are of `FAILED`
_DECISIVE = (
    *("source", "known", "detector", "turns", "frames", "crop", "quality", "embedder", "max_pixels", "keep_vectors"),
)
"""Options that faces and estimates depend on; what else is asked for is told of the same results."""
_HOW = ("workers", "device", "trust_code", "overwrite", "output", "serve", "access")
"""Options that say how to compute and where to write: nothing that is written depends on them."""


def predict(settings: PredictSettings, invocation: Invocation) -> int:
    """Do a case in the folder of the invocation, print a summary, and return the exit code.

    0: done; 3: done, but some files are of `FAILED`. What a killed command has done is not done again. Raises UserError
    for a folder of another case or in use, a source without files, and a model that is none for these faces.
    """
    folder, source = invocation.folder, settings.source
    if invocation.sweep and any(override.startswith("output=") for override in invocation.overrides):
        raise UserError("output: with -m every job has a folder of its own below hydra.sweep.dir: set that instead")
    if source.holds(folder):
        raise UserError(
            f"{option('output', shown(folder))} lies among the files of the case, or has their list or vectors in it: "
            "what is written would be taken for some of them, or replace these; choose another folder with output=..."
        )
    settings.export.check(source)
    vs = source.vectors()
    if vs is not None and settings.known is not None:
        raise UserError("known: source=vectors gives no files whose hashes could be on a list: leave one of them out")
    encoder = settings.extraction.encoder if vs is None else vs.encoder
    predictor = open_predictor(settings, encoder, settings.embedder.dimension if vs is None else vs.dimension)
    faces = {"detection": settings.extraction.detection_key} if vs is None else {"vectors": vs.fingerprint()}
    inputs = predictor.inputs | {"encoder": encoder} | faces
    options = {name: value for name, value in invocation.options.items() if name not in _HOW}
    made_of = inputs | {name: options[name] for name in _DECISIVE}
    with only_user_of(folder), interruptible_keeping(str(folder)) as stop:
        before = find_manifest(folder / MANIFEST)
        with open_journal(folder, made_of, settings.overwrite) as journal:
            _fill(journal, settings, vs, predictor, stop)
            results = with_doubts(journal.results, settings.reliability)
            summary = summarise(results)
            info = _info(settings, predictor, encoder, results, _decisive(invocation))
            (folder / MANIFEST).unlink(missing_ok=True)  # what it speaks of is replaced
            written = _write(folder, results, summary, info)
            exported = settings.export.write(folder, results, info)
        names = [path.name for path in (*written, *exported)]
        for stale in set(before.files if before else ()).difference(names):
            (folder / stale).unlink(missing_ok=True)
        for name in (*names, MANIFEST):
            remove_unfinished(folder / name)
        about = {"summary": asdict(summary), "drift": None if info.drift is None else asdict(info.drift)}
        write_manifest(folder / MANIFEST, describe(folder, names, about=about, inputs=inputs, options=options))
    print(_text(summary, info, folder, exported))
    failed = sum(summary.statuses.get(status, 0) for status in FAILED)
    if failed:
        log.warning("%s could not be looked into: %s says why", counted(failed, "file"), shown(folder / "files.csv"))
    return WITH_FAILED_FILES if failed else 0


def _fill(journal: Journal, settings: PredictSettings, vs: VectorSet | None, predictor: Predictor, stop: Event) -> None:
    """Put into the journal what becomes of every file."""
    files = settings.source.files()
    if vs is not None:
        estimate_all(vs, files, journal, predictor, settings.keep_vectors, stop)
        return
    known = Known({}) if settings.known is None else read_known(Path(settings.known))
    examine_all(
        files,
        journal,
        settings.extraction,
        settings.embedder.open(settings.device),
        predictor,
        is_known=known.has,
        workers=processes(settings.workers),
        keep_vectors=settings.keep_vectors,
        stop=stop,
    )


def _info(settings: PredictSettings, predictor: Predictor, encoder: str, results: Results, line: str) -> CaseInfo:
    checkpoint, reference = settings.checkpoint, predictor.reference
    return CaseInfo(
        source=settings.source.described(),
        model=checkpoint if isinstance(checkpoint, str) else ", ".join(checkpoint),
        model_digest=predictor.digest,
        model_encoder=predictor.model_encoder,
        vectors_encoder=encoder,
        boundary=predictor.boundary,
        threshold=predictor.threshold,
        calibrated_by=predictor.calibrated_by,
        statement=predictor.statement,
        drift=None if reference is None else judge(results(), reference),
        line=line,
        code=code_fingerprint(),
    )


def _decisive(invocation: Invocation) -> str:
    """Return the command of this case without what changes nothing in what is written.

    `trust_code` stays: without it some models are not opened. A job of a sweep has its own options, and of the sweep's
    line those that tell where configurations lie.
    """
    left_out = {*_HOW, "hydra.run.dir"} - {"trust_code"}
    words = shlex.split(invocation.line)
    if invocation.sweep is not None:
        of_all = [word for word in words if word.startswith(("--config-dir=", "--config-path="))]
        words = [*words[:3], *of_all, *invocation.overrides]
    return shlex.join(word for word in words if word.partition("=")[0] not in left_out)


def _write(folder: Path, results: Results, summary: Summary, info: CaseInfo) -> list[Path]:
    written = write_tables(folder, results, info)
    write_page(folder / PAGE, results, summary, info)
    written.append(folder / PAGE)
    if info.statement is not None:
        statement.write(folder / "statement.json", info.statement)
        written += [folder / "statement.json", *statement_page.write(folder / "statement", info.statement)]
    return written


def _text(summary: Summary, info: CaseInfo, folder: Path, exported: Sequence[Path]) -> str:
    """Return what is told in the terminal."""
    place = shown(folder)
    lines = [
        summary.text(),
        *(info.drift.words() if info.drift is not None else ()),
        f"faces:  {place}/predictions.csv",
        f"files:  {place}/files.csv",
        f"page:   {place}/{PAGE}",
        *([] if info.statement is None else [f"model:  {place}/statement.html"]),
        *(f"export: {shown(path)}" for path in exported),
    ]
    return "\n".join(map(visible, "\n".join(lines).splitlines()))
