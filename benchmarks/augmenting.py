"""Augmented faces a second: `python -m benchmarks.augmenting --faces photos`.

Augmentor's own `Pipeline.sample`, with the operations of augmentation=published, from JPEG crops of 224 x 224 to JPEG
files, against `vec2uage.augmentation`: the same files, and no files but what an embedder would take. Then both with
FaceNet, a quarter as many: Augmentor's files embedded in the obvious way with facenet-pytorch, ours in the same pass.
"""

import argparse
from pathlib import Path


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=4000, help="augmented faces")
    parser.add_argument("--originals", type=int, default=250, help="faces that they are made of")
    parser.add_argument("--repeats", type=int, default=3, help="interleaved repetitions, of which the fastest counts")
    parser.add_argument("--faces", type=Path, help="a folder of .jpg photographs of faces")
    given = parser.parse_args()
    # Worker processes import this module again: what it measures, and with it torch, is imported here.
    from benchmarks.augmenting_ways import measure

    measure(given.faces, given.originals, given.count, given.repeats)


if __name__ == "__main__":
    main()
