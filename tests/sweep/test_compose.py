"""Jobs composed in one go are what Hydra composes one by one."""

import re

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf, open_dict
from sweeps import Sweep, make_sweep

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.composer import Composer
from vec2uage.sweep.compose import compose_jobs, settings_of

JOBS = [
    [],
    ["seed=3"],
    ["seed=3", "optimizer=sgd"],
    ["optimizer=sgd", "seed=4"],
    ["optimizer=swa", "averaging.swa_lr=0.01", "optimizer.lr=1e-3"],
    ["dataset=vectors", "dataset.path=a b/c.npz", "split.age_range=[2,5]", "split.seed=run"],
    ["split={seed: 5, group: none}"],
    ["dataset=prepared", "dataset.path=p", "split.age_range=[2,5]"],
    ["augmentation=published", "augmentation.keep={rule: band, level: op}"],
    ["model=linear", "loss=huber", "loss.delta=2", "lr_finder=range_test", "lr_finder.steps=50"],
    ["+model.extra=1", "seed=7"],
    ["++seed=8"],
    ["~optimizer.beta1"],
    ["experiment=utkface", "dataset.path=u.npz", "augmentation.train_per_age=7"],
    ["debug=overfit", "seed=2"],
    ["trainer.device=cpu", "trainer.max_epochs=2", "normalization=none", "resume=false"],
    ["seed=9", "seed=10"],
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("trainer.batch_size=32", "optimizer=adagrad"),
        pytest.param(("hydra.verbose=true",), marks=pytest.mark.slow),
    ],
)
def test_jobs_equal_those_of_hydra_in_every_node(arguments: tuple[str, ...]) -> None:
    sweep = make_sweep(*arguments)
    composer = Composer(sweep.loader, sweep.master)
    for number, overrides in enumerate(JOBS):
        expected = sweep.loader.load_sweep_config(sweep.master, list(overrides))
        with open_dict(expected):  # what Hydra's launchers set afterwards
            expected.hydra.job.id = str(number)
            expected.hydra.job.num = number
        composed = composer.job(overrides, number)
        assert OmegaConf.to_container(composed) == OmegaConf.to_container(expected), overrides


def test_one_job_does_not_leak_into_the_next(sweep: Sweep) -> None:
    composer = Composer(sweep.loader, sweep.master)
    first = composer.job(["seed=5", "split.seed=9"], 0)
    assert composer.job([], 1).seed == 1
    assert composer.job(["seed=6"], 2).split.seed == 0
    assert first.seed == 5


def test_an_option_that_does_not_exist_is_refused_as_hydra_does(sweep: Sweep) -> None:
    for override in ("optimizer.lrr=1", "optimiser.lr=1", "sede=3"):
        with pytest.raises(ConfigCompositionException, match=re.escape(override)) as ours:
            Composer(sweep.loader, sweep.master).job([override], 0)
        with pytest.raises(ConfigCompositionException):
            sweep.loader.load_sweep_config(sweep.master, [override])
        assert ours.value.__cause__ is not None


def test_a_choice_that_does_not_exist_is_looked_for_once(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    composer, asked = Composer(sweep.loader, sweep.master), []
    load = type(sweep.loader).load_sweep_config
    monkeypatch.setattr(type(sweep.loader), "load_sweep_config", lambda *given: asked.append(given) or load(*given))
    with pytest.raises(UserError, match="no such choice"):
        compose_jobs(composer, [["optimizer=nosuch", f"optimizer.lr={k}e-3"] for k in range(1, 401)], 0)
    assert len(asked) == 1


def test_settings_know_their_choices_and_what_is_swept() -> None:
    sweep = make_sweep("hydra.job.config.override_dirname.exclude_keys=[loss]")
    cfg = Composer(sweep.loader, sweep.master).job(["loss=l1", "optimizer=swa", "seed=3"], 12)
    settings, folder = settings_of(cfg)
    assert settings.choice("optimizer") == "swa"
    assert settings.choice("loss") == "l1"
    assert settings.swept == ("optimizer", "seed")
    assert settings.overrides == ("loss=l1", "optimizer=swa", "seed=3")
    assert folder.name == "012_optimizer=swa,seed=3"
    assert not HydraConfig.initialized()


def test_a_wrong_value_is_the_users_error(sweep: Sweep) -> None:
    cfg = Composer(sweep.loader, sweep.master).job(["optimizer.lr=fast"], 0)
    with pytest.raises(UserError, match=re.escape("optimizer.lr = 'fast'")):
        settings_of(cfg)
