"""A few generated crops, and runs on them and on their vectors, for the tests of tuning."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from PIL import Image

from vec2uage.config.hydra.composer import Composer
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
