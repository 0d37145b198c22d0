"""The crops of faces, by the names of their vectors: of a prepared set, pictures that are crops, or drawn of either."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from vec2uage.base.csv_file import read_csv
from vec2uage.base.encoder import Encoder
from vec2uage.base.errors import UserError
from vec2uage.base.provenance import file_sha256
from vec2uage.data.balance import REPEAT
from vec2uage.data.drawn import Drawn
from vec2uage.faces.crop import resize
from vec2uage.faces.embedders.facenet import FaceNet
from vec2uage.faces.image import decode
from vec2uage.faces.records import Refused

_MAX_PIXELS = 100_000_000  # as of vec2uage.prepare


@dataclass(frozen=True)
class Crops:
    """The files of crops, what is drawn of them, and how FaceNet takes them."""

    files: tuple[Path, ...]
    drawn: tuple[Drawn | None, ...]
    """How each crop is drawn of that of its file; None where it is that."""
    face_net: FaceNet
    side: int | None
    """To which a picture is brought first, in pixels; None: it is taken as it is."""

    def contents(self) -> list[str]:
        """Return texts that tell each crop from any other: of which file, by its content, and how it was drawn."""
        sha256 = {file: file_sha256(file) for file in dict.fromkeys(self.files)}
        pairs = zip(self.files, self.drawn, strict=True)
        return [sha256[file] if drawn is None else f"{sha256[file]}/{drawn.made_by}" for file, drawn in pairs]

    def prepared(self, position: int) -> Float32[np.ndarray, "3 160 160"]:
        """Return FaceNet's input of one crop; UserError where it cannot be read."""
        file, drawn = self.files[position], self.drawn[position]
        try:
            pixels = decode(file.read_bytes(), _MAX_PIXELS)
            if self.side is not None:
                pixels = resize(pixels, self.side, self.side)
            if drawn is not None:
                pixels = drawn.draw(pixels)
            return self.face_net.prepare(pixels)
        except (OSError, Refused) as error:
            why = error.reason if isinstance(error, Refused) else error.strerror or error
            raise UserError(f"{file}: this crop cannot be used ({why}): prepare the faces again") from None


def original(name: str) -> str:
    """Return the name of the face that a row is a repeat of (see `data.balance`), or that of the row."""
    stem, mark, number = name.rpartition(REPEAT)
    return stem if mark and number.isdecimal() else name


def find_crops(
    folder: Path, names: Sequence[str], encoder: str, face_net: FaceNet, drawn: Mapping[str, Drawn] | None = None
) -> Crops:
    """Return the crops of the faces with these names, in their order; those in `drawn` are drawn of others.

    `encoder` names what made their vectors. In a folder of `vec2uage.prepare` they are those that it kept. Any other
    folder has pictures of these names, which must have been embedded whole. Raises UserError where one is missing.
    """
    drawn = drawn or {}
    of = [drawn[name].parent if name in drawn else name for name in names]
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder (model.crops): prepare the faces with keep_crops=true")
    if (folder / "faces.csv").is_file():
        kept = _kept(folder)
        found = [kept.get(name) for name in of]
        side = None
    else:
        options = Encoder.parse(encoder).options
        if (detector := options.get("detector", "none")) != "none":
            raise UserError(
                f"{folder} (model.crops) has no faces.csv, so its pictures are taken whole, but these vectors are of "
                f"faces found by detector={detector}: prepare them with keep_crops=true, and give that folder"
            )
        size = options.get("crop.size", "null")
        side = int(size) if size.isdecimal() else None
        found = [folder / name if (folder / name).is_file() else None for name in of]
    if missing := [name for name, file in zip(of, found, strict=True) if file is None]:
        raise UserError(
            f"{folder} (model.crops) has no crop of {len(missing):,} of {len(names):,} faces, such as {missing[0]}: "
            "prepare them with keep_crops=true, and take faces that were drawn of others by dataset=prepared with the "
            "augmentation that made them"
        )
    how = tuple(drawn.get(name) for name in names)
    return Crops(tuple(file for file in found if file is not None), how, face_net, side)


def _kept(folder: Path) -> dict[str, Path]:
    """Return the crop files of a prepared set by the name of the face; UserError where one has several."""
    by_photograph: dict[str, list[Path]] = {}
    for file in sorted((folder / "crops").glob("*_*.png")):
        by_photograph.setdefault(file.stem.partition("_")[0], []).append(file)
    try:
        rows = read_csv(folder / "faces.csv")
    except ValueError:
        rows = []
    if not rows or not all({"name", "status", "sha256"} <= row.keys() for row in rows):
        raise UserError(
            f"{folder / 'faces.csv'} is none that vec2uage.prepare writes (model.crops): prepare the faces again"
        )
    kept = {}
    for row in rows:
        files = by_photograph.get(row["sha256"], []) if row["status"] == "ok" else []
        if len(files) > 1:
            raise UserError(
                f"{folder / 'crops'} has {len(files)} crops of {row['name']}: several faces of a photograph, or crops "
                "of earlier options: prepare into a new folder, without faces=all"
            )
        if files:
            kept[row["name"]] = files[0]
    return kept
