"""Files a second from photographs to ages: `python -m benchmarks.predicting --faces photos`.

facenet-pytorch used as one writes it first (its MTCNN and `InceptionResnetV1` in float32, then a perceptron of the
paper's shape), one file after the other and in batches of 64, against the command `vec2uage.predict` in float32, its
start, its hashes, its measures of quality and all that it writes included. Last, one process alone tells where the time
goes. No model has learnt anything here, which costs as much. The photographs are .jpg files, best of one size: MTCNN
takes several at once of such only.
"""

import argparse
import logging
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from threading import Event

import numpy as np
import torch
from facenet_pytorch import MTCNN
from hydra import compose, initialize_config_dir
from PIL import Image

from benchmarks.embedding import OBVIOUS_BATCH, clock, obvious
from benchmarks.setting import machine
from vec2uage.case.open_predictor import open_predictor
from vec2uage.case.predict_settings import PredictSettings
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.config.validate import from_config
from vec2uage.faces.hashing import digest
from vec2uage.faces.image import decode
from vec2uage.faces.turning import find_turned
from vec2uage.faces.worker import cut_out

SHAPE = (512, 512, 256, 128, 1)
ASKED = ("statement=optional", "encoder_mismatch=allow", "embedder.precision=float32")
"""A model that has learnt nothing comes without a statement, and from vectors that nothing has made."""


@torch.no_grad()
def obviously(files: list[Path], at_once: int) -> int:
    """Say the ages of the faces in some files; return of how many."""
    detector, network = MTCNN(image_size=160, margin=0, keep_all=True), obvious()
    layers = [(torch.nn.Linear(*sizes), torch.nn.ReLU()) for sizes in pairwise(SHAPE)]
    perceptron = torch.nn.Sequential(*[module for pair in layers for module in pair][:-1]).eval()
    waiting, said = iter(files), 0
    while batch := [Image.open(path).convert("RGB") for path in islice(waiting, at_once)]:
        alike = len({picture.size for picture in batch}) == 1
        found = detector(batch) if alike else [detector(picture) for picture in batch]
        if faces := [tensor for tensor in found if tensor is not None]:
            said += len(perceptron(network(torch.cat(faces))))
    return said


def run_command(name: str, *options: str) -> None:
    """Run a command in a process of its own."""
    done = subprocess.run([sys.executable, "-m", f"vec2uage.{name}", *options], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)


def predict(photographs: Path, run: Path, output: Path) -> int:
    """Do a case; return how many faces it says an age of."""
    options = [f"checkpoint={run}", f"source.path={photographs}", f"output={output}", *ASKED]
    run_command("predict", *options)
    return len((output / "predictions.csv").read_text().splitlines()) - 1


def steps(files: list[Path], run: Path) -> dict[str, float]:
    """Return the seconds that each step of the command takes, with one process for all."""
    register_resolvers()
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        asked = from_config(
            compose("predict", [f"checkpoint={run}", "source.path=photographs", "output=unused", *ASKED]),
            PredictSettings,
        )
    extraction, taken = asked.extraction, defaultdict[str, float](float)
    detect = extraction.detector.open()
    embed = extraction.embedder.open("cpu")
    predictor = open_predictor(asked, extraction.encoder, asked.embedder.dimension)

    def timed(step: str, work: Callable[[], object]) -> None:
        taken[step] += clock(work)

    crops: list[np.ndarray] = []
    for path in files:
        content = path.read_bytes()
        image = decode(content, asked.max_pixels)
        faces = find_turned(detect, image, extraction.turns, extraction.detector.is_upright)
        cut = [cut_out(image, face, "", extraction) for face in faces]
        crops += [crop.prepared for crop in cut if crop.prepared is not None]
        timed("hash", partial(digest, path, Event()))
        timed("decode, search for damage", partial(decode, content, asked.max_pixels))
        timed("find faces", partial(find_turned, detect, image, extraction.turns, extraction.detector.is_upright))
        timed("cut out, measure", lambda: [cut_out(image, face, "", extraction) for face in faces])  # noqa: B023
    for start in range(0, len(crops), asked.embedder.batch_size):
        batch = np.stack(crops[start : start + asked.embedder.batch_size])
        vectors = embed(batch)
        timed("embed", partial(embed, batch))
        timed("estimate", partial(predictor, vectors))
    return taken


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True, help="a folder of .jpg photographs of faces")
    parser.add_argument("--count", type=int, default=1000, help="of them, spread over the folder and all different")
    given = parser.parse_args()
    logging.disable(logging.WARNING)  # of a model that nothing is known of
    every = sorted(given.faces.glob("*.jpg"))
    chosen = [every[k * len(every) // given.count] for k in range(min(given.count, len(every)))]
    with tempfile.TemporaryDirectory() as name:
        photographs, one, run = Path(name) / "photographs", Path(name) / "one", Path(name) / "run"
        for folder, paths in ((photographs, chosen), (one, chosen[:1])):
            folder.mkdir()
            for path in paths:
                (folder / path.name).write_bytes(path.read_bytes())
        run_command("train", "debug=fast", f"hydra.run.dir={run}")
        ways: dict[str, Callable[[], int]] = {
            "facenet-pytorch, one file after the other": partial(obviously, chosen, 1),
            f"facenet-pytorch, {OBVIOUS_BATCH} files at once": partial(obviously, chosen, OBVIOUS_BATCH),
            "vec2uage.predict": partial(predict, photographs, run, Path(name) / "case"),
        }
        said: dict[str, int] = {}
        seconds = {way: clock(lambda: said.update({way: work()})) for way, work in ways.items()}  # noqa: B023
        start = clock(partial(predict, one, run, Path(name) / "case_of_one"))
        print(f"From {len(chosen)} photographs ({given.faces}) to ages, once each\n{machine()}\n")
        for way, needed in seconds.items():
            times = needed / seconds["vec2uage.predict"]
            print(f"{way:44}{len(chosen) / needed:8.1f} files/s   predict: {times:5.2f} times   {said[way]} faces")
        print("goals: 3 times the first, 1.5 times the second")
        print(f"of vec2uage.predict, a case of one file: {start:.1f} s\n", flush=True)
        taken = steps(chosen, run)
    for step, needed in sorted(taken.items(), key=lambda item: -item[1]):
        print(f"{step:28}{1000 * needed / len(chosen):8.2f} ms a file{needed / sum(taken.values()):8.1%}")


if __name__ == "__main__":
    main()
