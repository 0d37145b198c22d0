"""Generated crops, their vectors, and a run that was trained on these."""

from collections.abc import Iterator

import numpy as np
import pytest
from hydra.core.singleton import Singleton
from hydra.types import RunMode
from PIL import Image

from tunings import ENCODER, FACE_NET, Tunings, crop
from vec2uage.config.hydra.composer import Composer
from vec2uage.data import storage
from vec2uage.data.vectorset import make_vector_set


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
