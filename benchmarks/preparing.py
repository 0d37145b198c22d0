"""Files a second from photographs to vectors: `python -m benchmarks.preparing --faces photos`.

facenet-pytorch used in the obvious way (open each photograph, detect and crop with its MTCNN, embed batches of 64 with
`InceptionResnetV1` in float32) against the command `vec2uage.prepare` from an empty store, its start included, with
the same detector and with the default one. Without `--faces` pictures are generated and nothing is detected.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
from facenet_pytorch import MTCNN
from PIL import Image

from benchmarks.embedding import OBVIOUS_BATCH, clock, obvious
from benchmarks.setting import machine
from vec2uage.base import seeds


def generate(folder: Path, count: int) -> None:
    """Write `count` JPEG pictures of soft colours, 200 x 200."""
    pixels = seeds.numpy_generator(0, "benchmarks").integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).resize((200, 200)).save(folder / f"{number:05d}.jpg", quality=90)


@torch.no_grad()
def obviously(folder: Path, detect: bool) -> int:
    """Make vectors of photographs as one writes it with facenet-pytorch; return how many."""
    detector, network = MTCNN(image_size=160, margin=0), obvious()
    files = sorted(folder.glob("*.jpg"))
    made, batch = 0, []
    for file in files:
        picture = Image.open(file).convert("RGB")
        if detect:
            face = detector(picture)
        else:
            face = (torch.from_numpy(np.array(picture.resize((160, 160)))).permute(2, 0, 1).float() - 127.5) / 128
        if face is not None:
            batch.append(face)
        if batch and (len(batch) == OBVIOUS_BATCH or file == files[-1]):
            made += len(network(torch.stack(batch)))
            batch = []
    return made


def prepare(folder: Path, detector: str, output: Path) -> int:
    """Run the command in a process of its own; return how many vectors it made."""
    table = folder / "table.csv"
    table.write_text("path,age\n" + "".join(f"{file.name},1\n" for file in sorted(folder.glob("*.jpg"))))
    options = ["source=table", f"source.path={table}", f"detector={detector}", "split=none"]
    options += ["leakage.same_person=null", "leakage.near_duplicate=1.0"]  # generated pictures are all alike to FaceNet
    places = [f"output={output / detector}", f"store={output / detector}.sqlite"]
    command = [sys.executable, "-m", "vec2uage.prepare", *options, *places]
    subprocess.run(command, check=True, capture_output=True)
    counts = json.loads((output / detector / "dataset.json").read_text())["files_by_status"]
    return int(counts["ok"])


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="photographs")
    parser.add_argument("--faces", type=Path, help="a folder of .jpg photographs of faces")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        photographs, output = Path(name) / "photographs", Path(name) / "output"
        photographs.mkdir()
        if given.faces is None:
            generate(photographs, given.count)
        else:
            every = sorted(given.faces.glob("*.jpg"))
            for number in range(given.count):
                file = every[number * len(every) // given.count]
                (photographs / f"{number:05d}.jpg").write_bytes(file.read_bytes())
        detect = given.faces is not None
        ways = {"facenet-pytorch": partial(obviously, photographs, detect)}
        for detector in ("mtcnn", "dlib") if detect else ("none",):
            ways[f"vec2uage.prepare detector={detector}"] = partial(prepare, photographs, detector, output)
        made: dict[str, int] = {}
        seconds = {way: clock(lambda: made.update({way: work()})) for way, work in ways.items()}  # noqa: B023
    print(f"From {given.count} photographs ({given.faces or 'generated'}) to vectors, once each\n{machine()}\n")
    for way, taken in seconds.items():
        share = seconds["facenet-pytorch"] / taken
        print(f"{way:34}{given.count / taken:8.1f} files/s{share:7.2f}x   {made[way]} vectors")


if __name__ == "__main__":
    main()
