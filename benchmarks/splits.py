"""Draws the lists in benchmarks/splits: `python -m benchmarks.splits utkface VECTORS --photographs FOLDER`.

Copies of one picture and likely pictures of one person stay in one part. They are found as `vec2uage.prepare
leakage=group leakage.group_same_person=true` finds them: by the vectors, and by the pictures where these are given.
Equal faces of which two ages are told are in no part, as prepare leaves them out.
"""

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vec2uage.data.dataset import VectorFile
from vec2uage.data.leakage import Findings, Leakage, audit
from vec2uage.data.listed_split import write_list
from vec2uage.data.paper_split import PaperSplit
from vec2uage.data.parts import UNDIVIDED
from vec2uage.data.vectorset import VectorSet, needed_ages
from vec2uage.faces.image import decode
from vec2uage.faces.signature import signature

FOLDER = Path(__file__).with_name("splits")
SPLITS = 25
LEAKAGE = Leakage(action="group", near_duplicate=0.95, signature_bits=44, same_person=0.9, group_same_person=True)
MAX_PIXELS = 10_000_000


@dataclass(frozen=True)
class Published:
    """A set whose splits are published."""

    split: PaperSplit
    """How they are drawn, each from its number."""
    told_by: str
    """What tells a face (see `listed_split.DIGESTS`)."""
    encoder: str


SETS = {
    "utkface": Published(PaperSplit(heldout_per_age=20, train_ages=(1, 40)), "name_sha256", "facenet-casia-webface"),
    "visage": Published(
        PaperSplit(heldout_per_age=10, train_ages=(1, 20), missing_ages="allow"), "vector_sha256", "facenet-vggface2"
    ),
}


def find_copies(vs: VectorSet, photographs: Path | None) -> Findings:
    """Return the copies and likely same persons among faces, by their vectors and, where there are, photographs."""
    pictures = {} if photographs is None else {name: photographs / name for name in vs.names}
    signatures = {name: signature(decode(path.read_bytes(), MAX_PIXELS)) for name, path in pictures.items()}
    return audit(vs, LEAKAGE, signatures=signatures)


def without_conflicts(vs: VectorSet) -> VectorSet:
    """Return the rows without those of which equal vectors are said to be of another age: one of both is wrong."""
    ages: dict[bytes, set[float]] = {}
    for vector, age in zip(vs.vectors, needed_ages(vs, "a list of splits"), strict=True):
        ages.setdefault(vector.tobytes(), set()).add(float(age))
    return vs.take(np.array([len(ages[vector.tobytes()]) == 1 for vector in vs.vectors]))


def read_set(name: str, path: Path) -> VectorSet:
    """Return the vectors of one of the sets."""
    return VectorFile(path=str(path), encoder=SETS[name].encoder).read()


def draw(name: str, vs: VectorSet, photographs: Path | None, path: Path) -> None:
    """Write the list of one of the sets."""
    published, used = SETS[name], without_conflicts(vs)
    group_ids = find_copies(used, photographs).clusters
    divisions = {number: published.split.divide({UNDIVIDED: used}, number, group_ids) for number in range(SPLITS)}
    write_list(path, vs, divisions, published.told_by)


def main() -> None:
    """Write the list of one of the sets to the folder of the repository."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=SETS)
    parser.add_argument("vectors", type=Path, help="file of the vectors")
    parser.add_argument("--photographs", type=Path, help="folder of their pictures, under their names")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    vs = read_set(arguments.set, arguments.vectors)
    draw(arguments.set, vs, arguments.photographs, FOLDER / f"{arguments.set}.csv")


if __name__ == "__main__":
    main()
