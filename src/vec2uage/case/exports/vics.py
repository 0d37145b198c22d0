"""A case's JSON with what was found added to it, for the tools that read exports of VICS 2.0."""

import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from vec2uage.base.atomic import replacing, write_text
from vec2uage.base.errors import UserError
from vec2uage.base.foreign_text import sentence
from vec2uage.base.formatting import counted
from vec2uage.case.exports.base import Export
from vec2uage.case.info import CaseInfo
from vec2uage.case.records import FAILED, CaseFile, FileResult, Results
from vec2uage.case.sources.base import CaseSource, NonEmpty
from vec2uage.case.sources.vics import Vics, file_of
from vec2uage.case.vics_json import pieces, with_added
from vec2uage.config.settings import settings

log = logging.getLogger(__name__)

FLAGGED = "vec2uage_flagged"
NOT_EXAMINED = "vec2uage_not_examined"
"""Tags: of files with a face at or above the threshold, and of those that were to be looked into and could not be."""


@settings
class VicsExport(Export):
    """`vics.json`, the JSON with Comments and Tags added to its entries, and `flagged.txt`, a list of hashes.

    Nothing else is changed, Category above all: what the JSON has beside these is there again byte for byte.
    """

    path: NonEmpty | tuple[NonEmpty, ...]
    """The JSON; several paths are those of another source, which `check` refuses."""
    hash: Literal["md5", "sha1", "sha256"]
    """Which hashes of the files with a face at or above the guaranteed threshold `flagged.txt` lists."""

    def check(self, source: CaseSource) -> None:
        if not isinstance(source, Vics) or source.path != self.path:
            raise UserError("export=vics adds to the JSON that source=vics reads: take that, or export=none")

    def write(self, folder: Path, results: Results, info: CaseInfo) -> list[Path]:
        """Write both files; without a guaranteed threshold there is no list.

        Raises UserError where the JSON is not the one that the results are of.
        """
        assert isinstance(self.path, str), "check() comes first"
        copy, flagged = folder / "vics.json", folder / "flagged.txt"
        with (
            replacing(copy) as temporary,
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            file.writelines(_with_notes(Path(self.path), _notes(results)))
        if info.threshold is None:
            log.warning("%s is not written: the model has no guaranteed threshold (minors.recall)", flagged.name)
            return [copy]
        hashes = {getattr(result.hashes, self.hash) for result in results() if result.flagged and result.hashes}
        write_text(flagged, "".join(f"{text}\n" for text in sorted(hashes)))
        return [copy, flagged]


Note = tuple[str, str]
"""What is added to an entry's Comments and Tags; "": nothing."""


def _notes(results: Results) -> dict[str, list[Note]]:
    """Return the notes of all files, by what the JSON says of each (see `_key`)."""
    notes: dict[str, list[Note]] = defaultdict(list)
    for result in results():
        notes[_key(result.file)].append((_comment(result), _tag(result)))
    return notes


def _with_notes(path: Path, notes: dict[str, list[Note]]) -> Iterator[str]:
    number = 0
    for piece in pieces(path):
        if isinstance(piece, str):
            yield piece
            continue
        number += 1
        left = notes.get(_key(file_of(piece, number, path.parent)))
        if not left:
            raise UserError(f"{path}: is not what it was when its files were examined: entry {number:,} is new")
        comment, tag = left.pop()
        text = with_added(piece.text, "Comments", comment, "; ")
        yield with_added(text, "Tags", tag, ", ") if tag else text
    if missing := sum(map(len, notes.values())):
        raise UserError(f"{path}: is not what it was when its files were examined: {missing:,} of its entries are gone")


def _key(file: CaseFile) -> str:
    """Return what sets a file apart from others of its name: entries that say the same have the same result."""
    return repr((file.name, sorted(file.hashes.items()), file.problem))


def _comment(result: FileResult) -> str:
    """Say what became of a file: of its youngest face, and the highest P(age < 18) of all."""
    why = f" ({sentence(result.reason)})" if result.reason else ""
    if not result.faces:
        return f"vec2uage: {result.status}{why}"
    youngest = min(result.faces, key=lambda face: face.age)
    is_point = youngest.low != youngest.low
    interval = "" if is_point else f" (90%: {youngest.low:.1f} to {youngest.high:.1f})"
    parts = [counted(len(result.faces), "face"), f"youngest {youngest.age:.1f} years{interval}"]
    if result.p_minor is not None:
        parts.append(f"P(age < 18) {result.p_minor:.3f}")
    if youngest.doubts:
        parts.append(f"doubtful: {youngest.reliability}")
    return f"vec2uage: {', '.join(parts)}{why}"


def _tag(result: FileResult) -> str:
    return FLAGGED if result.flagged else NOT_EXAMINED if result.status in FAILED else ""
