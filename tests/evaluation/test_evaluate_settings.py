"""The configuration of an evaluation: every mistake is named before any work."""

import pytest
from hydra import compose, initialize_config_dir

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.resolvers import conf_dir, register_resolvers
from vec2uage.config.validate import from_config
from vec2uage.evaluation.evaluate_settings import Evaluation

MODEL = "checkpoint=outputs/runs/default"
FACES = "dataset.path=faces.npz"


def composed(*overrides: str) -> Evaluation:
    register_resolvers()
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        return from_config(compose("evaluate", list(overrides)), Evaluation)


def test_the_defaults() -> None:
    what = composed(MODEL, FACES)
    assert (what.checkpoint, what.part, what.encoder_mismatch) == ("outputs/runs/default", "all", "refuse")
    assert what.cs == tuple(range(1, 11))
    assert (what.foreign.normalization, what.foreign.encoder, what.save_as) == ("l2", None, None)
    assert what.calibrate.takes_saved
    assert not what.calibrate.fits
    assert (what.minors.recall, what.minors.confidence, what.ensemble.top) == (None, 0.95, None)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UserError) as refused:
        composed(MODEL, FACES, "tta=-1", "cs=[-1]", "foreign.normalization=standardize", "dataset.label=rough")
    assert str(refused.value).splitlines()[1:] == [
        "  cs = -1: should be greater than or equal to 0",
        "  tta = -1: should be greater than or equal to 0",
        "  foreign.normalization = 'standardize': should be 'l2' or 'none'",
        "  dataset.label = 'rough': should be 'exact', 'floor' or 'whole'",
    ]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ([FACES], "checkpoint is missing: set checkpoint="),
        ([MODEL], r"dataset\.path is missing"),
        ([MODEL, FACES, "part=tset"], "part = 'tset': should be 'all', 'train', 'validation' or 'test'"),
        ([MODEL, FACES, "split=none", "part=test"], "part = 'test': should be 'all' or 'vectors'"),
        ([MODEL, FACES, "save_as=model.ckpt"], r"save_as = 'model\.ckpt'"),
        (["checkpoint=[]", FACES], "checkpoint"),
        ([MODEL, FACES, "minors.recall=1"], r"minors\.recall = 1: should be less than 1"),
        ([MODEL, FACES, "calibrate=conformal", "calibrate.level=0.8"], r"calibrate\.level = 0\.8: .*0\.9"),
        ([MODEL, FACES, "calibrate=conformal", "calibrate.columns=[age]"], r"calibrate\.columns.*gender"),
    ],
)
def test_a_mistake_is_named(overrides: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        composed(*overrides)
