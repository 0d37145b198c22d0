"""From gathered faces to a folder that training reads: divide the vectors, and say what became of each file.

The folder is complete when `dataset.json` is there; it is written last.
"""

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import Any

from vec2uage.base.access import refuse_link
from vec2uage.base.arguments import option, shown
from vec2uage.base.encoder import Encoder
from vec2uage.base.errors import UserError
from vec2uage.base.foreign_text import visible
from vec2uage.base.formatting import counted
from vec2uage.base.lock import only_user_of
from vec2uage.base.manifest import Manifest, is_current, refuse_unreadable
from vec2uage.config.command import Invocation
from vec2uage.data.dataset_folder import clear, complete, divide, draw, write
from vec2uage.data.leakage import COPIES, SAME_PERSON
from vec2uage.data.parts import is_divided
from vec2uage.data.prepared import DESCRIPTION, find_set
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.gather import Gathered, gather
from vec2uage.faces.prepare_settings import PrepareSettings, changed_options, recorded_options
from vec2uage.faces.records import Row
from vec2uage.faces.rows import counts, crop_files, face_name, write_table
from vec2uage.faces.sources.base import Photographs, SingleSource

log = logging.getLogger(__name__)

BROKEN = ("unreadable", "needs_plugin", "no_age", "conflicting")  # statuses of files that somebody may want to repair
WITH_BROKEN_FILES = 3  # exit code: all was written, but some files are of these


def prepare(settings: PrepareSettings, invocation: Invocation, stop: Event) -> int:
    """Prepare a set in the folder of the invocation, print a summary, and return the exit code.

    0: done; 3: done, but some files are `BROKEN`. Raises Interrupted where `stop` is set before all is
    done, and UserError for a folder of other options or in use, a source without a usable face, or too few faces to
    divide.
    """
    folder, options = invocation.folder, recorded_options(invocation.options)
    if invocation.sweep and any(override.startswith("output=") for override in invocation.overrides):
        raise UserError("output: with -m every job has a folder of its own below hydra.sweep.dir: set that instead")
    output = {"hydra.sweep.dir": invocation.sweep} if invocation.sweep else {"output": folder}
    _refuse_missing(settings.source.sources())
    _refuse_among_photographs(settings.source.sources(), {**output, "store": Path(settings.store)})
    with only_user_of(folder):
        refuse_link(folder / "crops")
        if not settings.overwrite:
            refuse_unreadable(folder / DESCRIPTION)
        before = find_set(folder)
        if before is not None and not settings.overwrite and (changed := changed_options(before.options, options)):
            raise UserError(
                f"{folder} was made with other options ({changed}): choose another folder with output=..., or replace "
                "it with overwrite=true"
            )
        extraction = settings.extraction(folder / "crops" if settings.keep_crops else None)
        gathered = gather(settings, extraction, stop)
        inputs = {"source": gathered.fingerprint()}
        is_done = before is not None and is_current(before, folder, inputs=inputs, options=options)
        if is_done and not settings.overwrite:
            log.info("nothing new: %s is complete (overwrite=true writes it anew)", folder)
        else:
            _write(gathered, settings, folder, inputs, options)
        _keep_only_crops_of(gathered.rows, extraction, folder)
        made = find_set(folder)
        assert made is not None, "it was written just now"
        print(_summary(made, folder))
    statuses = counts(gathered.rows)
    broken = sum(statuses.get(status, 0) for status in BROKEN)
    if broken:
        log.warning("%s could not be used: %s says why", counted(broken, "file"), shown(folder / "faces.csv"))
    return WITH_BROKEN_FILES if broken else 0


def _refuse_missing(sources: Sequence[SingleSource]) -> None:
    """Raise UserError where a source is not there, before a folder of other options is what seems to be wrong."""
    for source in sources:
        given = getattr(source, "path", ())
        for path in (given,) if isinstance(given, str) else given:
            if not Path(path).exists():
                raise UserError(f"{path}: no such file or folder (path of source {source.name or 'vectors'})")


def _refuse_among_photographs(sources: Sequence[SingleSource], written: Mapping[str, Path]) -> None:
    """Raise UserError where an option of `written` would put files where the next run takes them for photographs."""
    folders = [Path(source.path) for source in sources if isinstance(source, Photographs)]
    for key, place in written.items():
        for folder in folders:
            if folder.is_dir() and place.resolve().is_relative_to(folder.resolve()):
                raise UserError(
                    f"{option(key, shown(place))} lies in the folder of photographs {folder}: it would "
                    f"be taken for one of them; choose another place with {key}=..."
                )


def _keep_only_crops_of(rows: Sequence[Row], extraction: Extraction, output: Path) -> None:
    """Remove the crops of other options, which nobody asked for any more."""
    wanted = {path.name for path in crop_files(rows, extraction)}
    folder = output / "crops"
    for path in list(folder.glob("*.png")):
        if re.fullmatch(r"\.?[0-9a-f]{64}_[0-9a-f]{8}.*\.png", path.name) and path.name not in wanted:
            path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _write(
    gathered: Gathered, settings: PrepareSettings, folder: Path, inputs: dict[str, str], options: dict[str, Any]
) -> None:
    """Write the folder's files; until the last one is there, it is not complete.

    A complete set that lies there stays if there is no new one, or it cannot be divided.
    """
    statuses = counts(gathered.rows)
    is_empty = find_set(folder) is None
    if is_empty:  # faces.csv is to tell why there is no set
        _clear(gathered.rows, folder)
    if gathered.vectors is None:
        found = ", ".join(f"{count:,} {status}" for status, count in statuses.items())
        why = f": {folder / 'faces.csv'} says why" if is_empty else f"; what {folder} holds is kept"
        raise UserError(f"no usable face in {counted(len(gathered.rows), 'file')} ({found}){why}")
    good = [row for row in gathered.rows if row.status == "ok"]
    hashes = {face_name(row): row.hashes.sha256 for row in good if row.hashes}
    divided = divide(gathered.vectors, settings.split, settings.leakage, hashes, _signatures(good))
    _clear(gathered.rows, folder)
    files = write(divided, folder, settings.json) + ["faces.csv"] * bool(gathered.rows)
    figures = {k: figure for source in settings.source.sources() for k, figure in source.figures().items()}
    draw(figures, folder)
    complete(divided, folder, files, inputs=inputs, options=options, files_by_status=statuses)


def _clear(rows: Sequence[Row], folder: Path) -> None:
    """Remove an earlier set and say what became of each file now."""
    clear(folder)
    if rows:
        write_table(rows, folder / "faces.csv")


def _signatures(good: Sequence[Row]) -> dict[str, str]:
    """Return the signatures of the photographs by name; several faces of one photograph are no copies of each other."""
    faces = Counter(row.photograph.name for row in good)
    return {face_name(row): row.signature for row in good if faces[row.photograph.name] == 1}


def _summary(made: Manifest, folder: Path) -> str:
    """Say in a few lines what a folder holds and how to go on."""
    about, place = made.about, shown(folder)
    parts, leaks = about["parts"], about["leakage"]
    divided = is_divided(parts)
    sizes = ", ".join(f"{part['rows']:,} {'in one file' if not divided else name}" for name, part in parts.items())
    statuses = ", ".join(f"{count:,} {status}" for status, count in about["files_by_status"].items())
    pairs = leaks["pairs_across_sides" if divided else "pairs"]
    copies, persons = sum(pairs[kind] for kind in COPIES), pairs[SAME_PERSON]
    path = option("dataset.path", place if divided else place / "vectors.arrow")
    where = "across parts" if divided else "of vectors"
    lines = [
        f"files    {statuses}" if statuses else "",
        f"vectors  {sizes}; {about['dimension']} numbers each, {_encoder(about['encoder'])}",
        f"leakage  pairs {where}: {copies:,} of one picture, {persons:,} more likely of one person ({leaks['action']})",
        f"folder   {place}",
        f"train    python -m vec2uage.train dataset={'prepared' if divided else 'vectors'} {path}",
    ]
    return "\n".join(visible(line) for line in lines if line)


def _encoder(text: str) -> str:
    """Name an encoder by its network, and by the block that it ends at where that is not the last."""
    encoder = Encoder.parse(text)
    layer = encoder.options.get("embedder.layer", "last_linear")
    return f"{encoder.network}" if layer == "last_linear" else f"{encoder.network}, {layer}"
