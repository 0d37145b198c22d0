"""A few generated crops, their vectors, and a run that was trained on these."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hydra.core.singleton import Singleton
from hydra.types import RunMode
from omegaconf import DictConfig
from PIL import Image

from vec2uage.config.hydra.composer import Composer
from vec2uage.data import storage
from vec2uage.data.vectorset import make_vector_set
from vec2uage.faces.embedders.facenet import FaceNet
from vec2uage.runs.result import RunResult
from vec2uage.sweep.check import check_data
from vec2uage.sweep.compose import settings_of
from vec2uage.sweep.engine import train_jobs
from vec2uage.sweep.grouping import Job
from vec2uage.sweep.resume import prepare_folders
from vec2uage.training.run_settings import RunSettings

ENCODER = "facenet-20180408-102900-704afe26/resize/fixed/normalized/crop.size:null/crop.margin:0.0/detector:none"
FACE_NET = FaceNet(
    weights="frozen_graph", path=None, adapter="resize", normalize="fixed", output="normalized", precision="float32"
)


@dataclass(frozen=True)
class Tunings:
    """Composes and trains runs on the crops of a folder."""

    root: Path
    composer: Composer

    def composed(self, *own: str) -> tuple[RunSettings, DictConfig]:
        data = f"dataset.path={self.root / 'faces.arrow'}"
        fixed = ("dataset=vectors", data, "split.age_range=[1,2]", "split.heldout_per_age=4", "augmentation=weights")
        if "model=stack" in own:
            return settings_of(self.composer.job([*fixed, *own], 0))[0], self.composer.job([*fixed, *own], 0)
        small = ("trainer.max_epochs=2", "trainer.batch_size=8", "trainer.device=cpu", "optimizer.lr=1e-3")
        cfg = self.composer.job([*fixed, *small, *own], 0)
        return settings_of(cfg)[0], cfg

    def tuning(self, *own: str) -> tuple[str, ...]:
        """The options of a tuning that begins from the run `frozen`."""
        fixed = "model=end_to_end", f"model.start={self.root / 'frozen'}", f"model.crops={self.root / 'crops'}"
        return *fixed, f"model.cache={self.root / 'cache'}", "model.precision=float32", *own

    def train(self, folder: str, *own: str, until: int | None = None) -> RunResult:
        """Train a run into a folder, for so many epochs now; raise what went wrong."""
        settings, cfg = self.composed(*own)
        job = Job(settings, self.root / folder)
        check_data([job], True)
        assert prepare_folders({job: cfg}, True) == {}
        done = train_jobs([job], "", until=until)
        if job in done.errors:
            raise done.errors[job]
        return done.results[job]


def crop(number: int) -> np.ndarray:
    """Draw a smooth picture, of two kinds."""
    generator = np.random.default_rng(number)
    coarse = generator.integers(0, 256, (4 + 4 * (number % 2), 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((160, 160), Image.Resampling.BICUBIC))


@pytest.fixture(scope="session")
def composer() -> Iterator[Composer]:
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path
    from hydra.core.utils import JobRuntime, setup_globals

    from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers

    before = Singleton.get_state()
    setup_globals()
    register_resolvers()
    JobRuntime.instance().set("name", "train")
    loader = ConfigLoaderImpl(create_config_search_path(conf_dir()))
    yield Composer(loader, loader.load_configuration("train", [], run_mode=RunMode.MULTIRUN))
    Singleton.set_state(before)


@pytest.fixture(scope="session")
def tunings(composer: Composer, tmp_path_factory: pytest.TempPathFactory) -> Tunings:
    root = tmp_path_factory.mktemp("tuning")
    (root / "crops").mkdir()
    crops = [crop(number) for number in range(20)]
    names = [f"{number}.png" for number in range(20)]
    for name, pixels in zip(names, crops, strict=True):
        Image.fromarray(pixels).save(root / "crops" / name)
    vectors = FACE_NET.open("cpu")(np.stack([FACE_NET.prepare(pixels) for pixels in crops]))
    ages = [1.0 + number % 2 for number in range(20)]
    storage.save(make_vector_set(vectors, ages, names=names, encoder=ENCODER), root / "faces.arrow")
    made = Tunings(root, composer)
    made.train("frozen", "model.hidden=[16]", "normalization=standardize", "optimizer.lr=1e-2", "trainer.max_epochs=20")
    return made
