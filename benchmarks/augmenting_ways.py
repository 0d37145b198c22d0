"""The ways of making augmented faces that `benchmarks.augmenting` compares."""

import hashlib
import itertools
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from threading import Event

import Augmentor
import numpy as np
import torch
from Augmentor import Operations
from Augmentor.Operations import Operation, RandomBrightness, RotateRange
from hydra import compose, initialize_config_dir
from PIL import Image

from benchmarks.embedding import OBVIOUS_BATCH, clock, obvious
from benchmarks.no_embedder import NoEmbedder
from benchmarks.preparing import generate
from benchmarks.setting import fastest, machine
from vec2uage.augmentation.augment_settings import AugmentSettings
from vec2uage.augmentation.augmenter import Pictures, open_augmenter
from vec2uage.augmentation.drawing import AugmentedFace
from vec2uage.augmentation.execution import Execution
from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.augmentation.ops import Brightness, Op, RandomContrast, Rotation
from vec2uage.augmentation.source_faces import SourceFace
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.config.validate import from_config
from vec2uage.faces.detectors.whole import WholeImage
from vec2uage.faces.embedders.base import Embedder
from vec2uage.faces.extraction import Extraction
from vec2uage.faces.pool import processes
from vec2uage.faces.quality import NoQuality
from vec2uage.faces.records import Face

SIDE, QUALITY = 224, 75  # Augmentor saves with the 75 that is Pillow's default


def published() -> AugmentSettings:
    """Return the settings of `vec2uage.augment augmentation=published`."""
    register_resolvers()
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        return from_config(compose("augment", ["path=faces", "augmentation=published"]), AugmentSettings)


def pipeline(folder: Path, output: Path, augmentation: ImageAugmentation) -> Augmentor.Pipeline:
    """Return Augmentor's pipeline of the same operations, each with its probability."""
    made = Augmentor.Pipeline(str(folder), output_directory=str(output))
    for _, op in augmentation.op:
        operation = theirs(op)
        operation.probability = op.probability
        made.add_operation(operation)
    return made


def theirs(op: Op) -> Operation:
    """Return Augmentor's operation where `op.operation()` is a faster one of our own."""
    match op:
        case Rotation():
            return RotateRange(1, op.angle, op.angle)
        case Brightness():
            return RandomBrightness(1, op.min_factor, op.max_factor)
        case RandomContrast():
            return Operations.RandomContrast(1, op.min_factor, op.max_factor)
    return op.operation()


def source_faces(folder: Path, dimension: int) -> list[SourceFace]:
    """Return the crops in a folder as faces that fill their pictures."""
    return [
        SourceFace(
            name=file.name,
            age=1.0,
            path=file,
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            face=Face(0, 0, SIDE, SIDE, float("nan"), "none"),
            vector=np.ones(dimension, dtype=np.float32),
        )
        for file in sorted(folder.glob("*.jpg"))
    ]


def ours(count: int, settings: AugmentSettings, folder: Path, embedder: Embedder, scratch: Path, files: bool) -> None:
    """Draw `count` faces of the crops in a folder with an empty store."""
    extraction = Extraction(WholeImage(), "largest", settings.crop, NoQuality(), embedder, settings.max_pixels, None)
    sources = source_faces(folder, embedder.dimension)
    turns = itertools.islice(((source, k) for k in itertools.count() for source in sources), count)
    recipe = settings.augmentation.recipe
    faces = [AugmentedFace(source, recipe, number) for source, number in turns]
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        execution = Execution(Path(name) / "store.sqlite", processes("auto"), "cpu", Event())
        with open_augmenter(extraction, execution) as augmenter:
            augmenter.vectors_of(faces, Pictures(Path(name) / "images", QUALITY) if files else None)


@torch.no_grad()
def embed_files(files: Sequence[Path]) -> None:
    """Embed JPEG files as one writes it with facenet-pytorch."""
    network = obvious()
    for start in range(0, len(files), OBVIOUS_BATCH):
        faces = [
            np.array(Image.open(file).convert("RGB").resize((160, 160)))
            for file in files[start : start + OBVIOUS_BATCH]
        ]
        network((torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).float() - 127.5) / 128)


def measure(faces: Path | None, originals: int, count: int, repeats: int) -> None:
    """Measure and print one table."""
    settings = published()
    with tempfile.TemporaryDirectory() as name:
        scratch, crops = Path(name), Path(name) / "crops"
        crops.mkdir()
        if faces is None:
            generate(crops, originals)
        else:
            every = sorted(faces.glob("*.jpg"))
            for number in range(originals):
                (crops / f"{number:05d}.jpg").write_bytes(every[number * len(every) // originals].read_bytes())
        for file in crops.glob("*.jpg"):
            Image.open(file).resize((SIDE, SIDE)).save(file, quality=QUALITY)

        def sample(some: int, embedded: bool) -> None:
            with tempfile.TemporaryDirectory(dir=scratch) as output, Path(os.devnull).open("w") as nowhere:
                with redirect_stdout(nowhere), redirect_stderr(nowhere):
                    pipeline(crops, Path(output), settings.augmentation).sample(some)
                if embedded:
                    embed_files(sorted(Path(output).glob("*.jpg")))

        def draw(some: int, embedder: Embedder, files: bool) -> Callable[[], None]:
            return lambda: ours(some, settings, crops, embedder, scratch, files)

        ways = {
            "Augmentor Pipeline.sample": lambda: sample(count, False),
            "ours, JPEG files": draw(count, NoEmbedder(), True),
            "ours, no files": draw(count, NoEmbedder(), False),
        }
        whole = {
            "Augmentor, then facenet-pytorch": lambda: sample(count // 4, True),
            "ours, JPEG files and FaceNet": draw(count // 4, settings.embedder, True),
            "ours, FaceNet": draw(count // 4, settings.embedder, False),
        }
        measures = {way: (lambda work=work: clock(work)) for way, work in {**ways, **whole}.items()}
        seconds = fastest(measures, repeats)
    print(f"{count} augmented faces of {originals} ({faces or 'generated'})\n{machine()}\n")
    for group, made in ((ways, count), (whole, count // 4)):
        for way in group:
            ratio = seconds[next(iter(group))] / seconds[way]
            print(f"{way:34}{made / seconds[way]:8.1f} faces/s{ratio:7.2f}x")
