"""Copies planted among real faces are found by the audit as it is configured, and few other pairs are called copies."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageEnhance, ImageOps

from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.data.leakage import COPIES, Leakage, audit
from vec2uage.data.vectorset import make_vector_set
from vec2uage.faces.image import decode
from vec2uage.faces.signature import signature

CHIPS = 60
Change = Callable[[Image.Image], Image.Image]


def encoded(quality: int) -> Change:
    def change(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return change


def resized(share: float) -> Change:
    return lambda image: image.resize((round(image.width * share),) * 2, Image.Resampling.BICUBIC)


def enhanced(how: type, factor: float) -> Change:
    return lambda image: how(image).enhance(factor)


RECOLOURED = [
    enhanced(how, factor)
    for how in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for factor in (0.6, 1.4)
]
PLANTED: dict[str, list[Change]] = {
    "re-encoded": [encoded(quality) for quality in (30, 50, 70, 90)],
    "resized": [resized(share) for share in (0.5, 0.75, 1.5)],
    "mirrored": [ImageOps.mirror, lambda image: ImageOps.mirror(encoded(50)(image))],
    "recoloured": [*RECOLOURED, lambda image: image.convert("L").convert("RGB")],
}


@pytest.fixture(scope="module")
def leakage() -> Leakage:
    options = yaml.safe_load((Path(conf_dir()) / "leakage" / "report.yaml").read_text())
    return Leakage(**{option: value for option, value in options.items() if option != "_target_"})


@pytest.fixture(scope="module")
def chips(shared: Path) -> list[Path]:
    return sorted((shared / "data" / "utkface").iterdir())


def called_copies(vs, leakage, signatures):
    found = audit(vs, leakage, None, signatures)
    copies = np.isin(found.kind, COPIES)
    pairs = zip(vs.names[found.first[copies]], vs.names[found.second[copies]], strict=True)
    return {frozenset(pair) for pair in pairs}


@pytest.mark.slow
def test_99_of_100_copies_of_each_sort_are_found(chips, leakage):
    from vec2uage.faces.embedders.facenet import FaceNet

    chosen = [chips[row] for row in np.random.default_rng(0).choice(len(chips), CHIPS, replace=False)]
    images = {}
    for chip in chosen:
        image = Image.fromarray(decode(chip.read_bytes(), 10**6))
        images[chip.name] = image
        for sort, changes in PLANTED.items():
            images |= {f"{chip.name} {sort} {number}": change(image) for number, change in enumerate(changes)}
    network = FaceNet(
        weights="frozen_graph",
        path=None,
        adapter="resize",
        normalize="fixed",
        output="normalized",
        precision="auto",
    )
    vectors = network.open("cpu")(np.stack([network.prepare(np.asarray(image)) for image in images.values()]))
    vs = make_vector_set(vectors, [5] * len(images), names=list(images), encoder=network.fingerprint())

    found = called_copies(vs, leakage, {name: signature(np.asarray(image)) for name, image in images.items()})
    by_vector = called_copies(vs, leakage, {})
    for sort, changes in PLANTED.items():
        planted = {frozenset((chip.name, f"{chip.name} {sort} {n}")) for chip in chosen for n in range(len(changes))}
        share, alone = (len(planted & some) / len(planted) for some in (found, by_vector))
        print(f"\n{sort}: {share:.2%} of {len(planted)} copies found, {alone:.2%} by the vector alone", end="")
        assert share >= 0.99, sort


@pytest.mark.slow
def test_few_real_pairs_are_called_copies(shared, chips, leakage):
    with np.load(shared / "data" / "utkface_vectors.npz") as file:
        vs = make_vector_set(file["vectors"], file["ages"], names=file["names"], encoder="facenet")
    signatures = {chip.name: signature(decode(chip.read_bytes(), 10**6)) for chip in chips}
    found = audit(vs, leakage, None, signatures)
    copies = np.isin(found.kind, COPIES)
    # Of the pairs called copies those with unlike vectors are in doubt; all others that were looked at were copies.
    doubtful = copies & (found.cosine < 0.6)
    pairs = len(vs) * (len(vs) - 1) // 2
    print(f"\n{copies.sum()} of {pairs:,} pairs are called copies, {doubtful.sum()} of them with a cosine below 0.6")
    assert 180 <= copies.sum() <= 250
    assert doubtful.sum() <= 1
    assert np.bincount(found.clusters).max() <= 6, "copies must not chain"
