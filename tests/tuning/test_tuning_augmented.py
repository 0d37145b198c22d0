"""Tuning on faces that were drawn of others: their crops are drawn again, exactly those whose vectors were kept."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from PIL import Image

from tunings import Tunings, crop
from vec2uage.augmentation.augment_settings import PrepareAndAugmentSettings
from vec2uage.augmentation.balance import AugmentedBalance
from vec2uage.augmentation.run import prepare_and_augment
from vec2uage.base.errors import UserError
from vec2uage.config.command import Invocation
from vec2uage.config.hydra.composer import Composer
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.config.validate import from_config
from vec2uage.data.drawn import Drawn
from vec2uage.data.loading import load_parts
from vec2uage.faces.embedders.blocks import BLOCKS
from vec2uage.sweep.compose import settings_of
from vec2uage.training.data import load
from vec2uage.training.run_settings import RunSettings
from vec2uage.tuning.network import base_network
from vec2uage.tuning.tuning import Tuning

pytestmark = pytest.mark.slow  # a crop takes 30 ms of FaceNet
CPU = torch.device("cpu")
PUBLISHED = ("augmentation=published", "augmentation.train_per_age=7")


@dataclass(frozen=True)
class Prepared(Tunings):
    """Composes and trains runs on a prepared set, whose photographed training faces are 6 of each of two ages."""

    def composed(self, *own: str) -> tuple[RunSettings, DictConfig]:
        data = "dataset=prepared", f"dataset.path={self.root / 'set'}"
        small = ("trainer.max_epochs=1", "trainer.batch_size=8", "trainer.device=cpu", "optimizer.lr=1e-3")
        cfg = self.composer.job([*data, *small, *own], 0)
        return settings_of(cfg)[0], cfg

    def tuning(self, *own: str) -> tuple[str, ...]:
        fixed = "model=end_to_end", f"model.start={self.root / 'frozen'}", "model.precision=float32"
        return *PUBLISHED, *fixed, f"model.cache={self.root / 'cache'}", *own


@pytest.fixture(scope="module")
def prepared(composer: Composer, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A set with crops and drawn faces, and a run on its photographed faces alone."""
    root = tmp_path_factory.mktemp("augmented")
    (root / "photos").mkdir()
    for number in range(20):
        Image.fromarray(crop(number)).save(root / "photos" / f"{1 + number % 2}_0_0_{20170100000000000 + number}.jpg")
    source = ["source=utkface", f"source.path={root / 'photos'}", "split.age_range=[1,2]", "split.heldout_per_age=4"]
    how = ["detector=none", "crop.size=null", "keep_crops=true", "embedder.precision=float32", "workers=1"]
    where = [f"output={root / 'set'}", f"store={root / 'store.sqlite'}"]
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        cfg = compose("prepare", [*source, *how, *where, *PUBLISHED])
    invocation = Invocation("", cfg, root / "set", None, (), {"augmentation": "published"})
    assert prepare_and_augment(from_config(cfg, PrepareAndAugmentSettings), invocation) == 0
    made = Prepared(root, composer)
    made.train("frozen", "augmentation=weights", "model.hidden=[16]")
    return made


@pytest.fixture(scope="module")
def tuning(prepared: Prepared) -> Tuning:
    run = prepared.composed(*prepared.tuning())[0]
    return Tuning.of(run, load(run, CPU))


def test_a_tuning_takes_faces_that_were_drawn_cached_as_they_are_streamed(prepared: Prepared, tuning: Tuning) -> None:
    assert prepared.train("tuned", *prepared.tuning()).status == "completed"
    (file,) = (prepared.root / "cache").iterdir()
    kept, frozen = np.load(file, mmap_mode="r"), tuning.frozen(CPU)
    assert kept.shape == (2 * 7 + 8, 1792)
    drawn = np.array([position for position, how in enumerate(frozen.crops.drawn) if how is not None])
    np.testing.assert_array_equal(kept[drawn], frozen.of(drawn))


def test_the_crops_of_drawn_faces_give_the_vectors_that_were_kept(
    tuning: Tuning, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, crops = tuning.run, tuning.frozen(CPU).crops
    parts = load_parts(run.dataset, run.split, run.augmentation, run.split_seed)
    drawn = parts["train"].take(parts["train"].parents != "")
    positions = [tuning._names(parts).index(name) for name in drawn.names]
    assert len(positions) == 2
    with torch.inference_mode():
        inputs = torch.from_numpy(np.stack([crops.prepared(position) for position in positions]))
        vectors = base_network(tuning.face_net).through(inputs, BLOCKS).numpy()
    np.testing.assert_allclose(vectors / np.linalg.norm(vectors, axis=1)[:, None], drawn.vectors, atol=1e-5)

    def exchanged(self: AugmentedBalance) -> dict[str, Drawn]:
        (one, how), (other, how_other) = right(self).items()
        return {one: how_other, other: how}

    right = AugmentedBalance.drawn
    monkeypatch.setattr(AugmentedBalance, "drawn", exchanged)
    with pytest.raises(UserError, match=r"another vector.*published-1"):
        tuning.faces(CPU)
