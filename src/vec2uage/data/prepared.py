"""A folder that holds a divided set: written once, the same parts for every run that reads it."""

from itertools import combinations
from pathlib import Path
from typing import ClassVar

from vec2uage.base.errors import UserError
from vec2uage.base.manifest import Manifest, find_manifest, read_manifest
from vec2uage.base.provenance import file_sha256
from vec2uage.config.settings import settings
from vec2uage.data.dataset import Dataset
from vec2uage.data.parts import PARTS, AgeRange, Parts
from vec2uage.data.readers import read
from vec2uage.data.vectorset import VectorSet, concatenate

DESCRIPTION = "dataset.json"  # the manifest of a folder: it tells a complete one, and what is in it
SUFFIX = ".arrow"  # of the files that are its parts
AGAIN = "run the same vec2uage.prepare command again"


def part_file(folder: Path, part: str) -> Path:
    """Return where a part of a set lies, by the name of the part."""
    return folder / f"{part}{SUFFIX}"


def find_set(folder: Path) -> Manifest | None:
    """Return the manifest of a prepared set, None where there is no complete one."""
    found = find_manifest(folder / DESCRIPTION)
    return found if found is not None and found.about.keys() >= {"fingerprint", "parts", "leakage"} else None


@settings
class Prepared(Dataset):
    """A divided set from a folder that `vec2uage.prepare` wrote; its parts are taken as they are."""

    is_divided: ClassVar[bool] = True

    path: str

    def parts(self) -> Parts:
        """Read all parts.

        Raises UserError where the folder is not complete, a part is missing, damaged or not the one that was written
        last, or a name is in two parts.
        """
        folder = Path(self.path)
        parts = {name: _read(part_file(folder, name), sha256) for name, sha256 in _written(folder).items()}
        for (one, a), (other, b) in combinations(parts.items(), 2):
            if both := set(a.names) & set(b.names):
                raise UserError(f"{folder}: {min(both)!r} is in {one} and in {other}: prepare the folder again")
        return parts

    def read(self) -> VectorSet:
        """Read all parts as one set; raises what `parts` does."""
        return concatenate(list(self.parts().values()))

    def age_range(self) -> AgeRange:
        """Return the first and last whole age, as the manifest has them; UserError as `check_files`."""
        self.check_files()
        parts = read_manifest(Path(self.path) / DESCRIPTION).about["parts"]
        ages = [int(age) for part in parts.values() for age in part["per_age"]]
        return min(ages), max(ages)

    def check_files(self) -> None:
        """Raise UserError where the folder is not complete, was not divided, or lacks a part."""
        folder = Path(self.path)
        for part in _written(folder):
            if not part_file(folder, part).is_file():
                raise UserError(f"{part_file(folder, part)}: missing: {AGAIN}")


def _read(file: Path, sha256: str) -> VectorSet:
    if not file.is_file() or file_sha256(file) != sha256:
        raise UserError(f"{file}: missing or not the file that {DESCRIPTION} describes: {AGAIN}")
    return read(file)


def _written(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each part's file by the part's name, as the manifest in the folder gives them.

    Raises UserError where there is no manifest, or none of a divided set.
    """
    file = folder / DESCRIPTION
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder (dataset.path); vec2uage.prepare makes one")
    if not file.is_file():
        raise UserError(
            f"{folder}: no {DESCRIPTION} in this folder (dataset.path): vec2uage.prepare makes such a folder of "
            f"photographs; if it was interrupted, {AGAIN}"
        )
    try:
        files = read_manifest(file).files
    except UserError as error:
        raise UserError(f"{error}: {AGAIN}, with overwrite=true") from None
    written = {Path(name).stem: sha256 for name, sha256 in files.items() if name.endswith(SUFFIX)}
    for part in PARTS:
        if part not in written:
            raise UserError(
                f"{folder}: no {part_file(folder, part).name} in this folder (dataset.path), as it was prepared "
                "without a split: take its vectors.arrow with dataset=vectors, or prepare it with one"
            )
    return written
