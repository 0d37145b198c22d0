"""The grids of conf/experiment, divided into jobs by Hydra's own sweeper and checked before anything is trained."""

from collections import Counter
from collections.abc import Iterator

import pytest
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from sweeps import Sweep, make_sweep

from vec2uage.base.errors import UserError
from vec2uage.config.hydra.composer import Composer, parse_grid
from vec2uage.sweep.compose import compose_jobs, settings_of
from vec2uage.training.learners.registry import learner_of


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    state = Singleton.get_state()
    yield
    Singleton.set_state(state)


def split(sweep: Sweep, *arguments: str) -> list[list[str]]:
    """Return the overrides of every job, with the names and checks that a real sweep begins with."""
    sweeper = Plugins.instance().instantiate_sweeper(
        config=sweep.master, hydra_context=sweep.context(), task_function=print
    )
    asked = parse_grid(sweep.loader, sweep.master, [*sweeper._parse_config(), *arguments])  # type: ignore[attr-defined]
    (jobs,) = sweeper.split_arguments(asked, None)  # type: ignore[attr-defined]
    compose_jobs(Composer(sweep.loader, sweep.master), jobs, 0)
    return jobs


@pytest.mark.parametrize(
    ("experiment", "finder"), [("d1", "none"), pytest.param("e1", "range_test", marks=pytest.mark.slow)]
)
def test_the_papers_grids_are_four_optimisers_of_twenty_seeds(experiment: str, finder: str) -> None:
    arguments = [f"experiment={experiment}"]
    sweep = make_sweep(*arguments)
    assert sweep.master.hydra.mode.name == "MULTIRUN"
    jobs = split(sweep, *arguments)
    composer = Composer(sweep.loader, sweep.master)
    composed = [settings_of(composer.job(job, number)) for number, job in enumerate(jobs)]
    assert len(composed) == 80
    assert Counter(s.choice("optimizer") for s, _ in composed) == dict.fromkeys(("adagrad", "adam", "sgd", "swa"), 20)
    assert len({s.seed for s, _ in composed}) == 20
    assert {s.choice("lr_finder") for s, _ in composed} == {finder}
    rates = {s.choice("optimizer"): s.optimizer.lr for s, _ in composed}
    assert rates == {"adagrad": 1e-4, "adam": 1e-4, "sgd": 1e-4, "swa": 1e-5}
    folders = {folder for _, folder in composed}
    assert len(folders) == 80
    assert {folder.parent.name for folder in folders} == {f"experiment={experiment}"}
    assert len({learner_of(s).stack_key(s) for s, _ in composed}) == 4


def test_names_of_jobs_hold_only_what_is_swept() -> None:
    arguments = ["optimizer=sgd,swa", "trainer.max_epochs=3", "seed=range(2)"]
    sweep = make_sweep(*arguments)
    jobs = split(sweep, *arguments)
    composer = Composer(sweep.loader, sweep.master)
    names = [settings_of(composer.job(job, number))[1].name for number, job in enumerate(jobs)]
    assert names == [
        "000_optimizer=sgd,seed=0",
        "001_optimizer=sgd,seed=1",
        "002_optimizer=swa,seed=0",
        "003_optimizer=swa,seed=1",
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(
            ["optimizer=adam,sgd", "optimizer.beta1=0.8", "optimizer.lr=0.1,-1", "loss=l1,mse"],
            [
                "2 options are wrong:",
                "  2 of 8 jobs, such as optimizer=adam optimizer.lr=-1 loss=l1: "
                "optimizer.lr = -1: should be greater than 0",
                "  4 of 8 jobs, such as optimizer=sgd optimizer.lr=0.1 loss=l1: "
                "optimizer.beta1 = 0.8: no such option; it is one of optimizer=adam",
            ],
            id="of some jobs",
        ),
        pytest.param(
            ["optimizer=adam,swa", "optimizer.lr=0", "trainer.batch_size=0", "optimizer.weight_decay=0,-1"],
            [
                "3 options are wrong:",
                "  optimizer.lr = 0: should be greater than 0",
                "  trainer.batch_size = 0: should be greater than or equal to 1",
                "  2 of 4 jobs, such as optimizer=adam optimizer.weight_decay=-1: "
                "optimizer.weight_decay = -1: should be greater than or equal to 0",
            ],
            id="of all jobs and of some",
        ),
        pytest.param(
            ["optimizer=sgd,nosuch", "seed=range(400)"],
            [
                "400 of 800 jobs, such as optimizer=nosuch seed=0: "
                "optimizer = nosuch: no such choice; allowed are: adagrad, adam, sgd, swa, swa_published"
            ],
            id="hundreds of a choice that does not exist",
        ),
        pytest.param(
            ["seed=2,two,3"],
            ["1 of 3 jobs, such as seed=two: seed = 'two': should be a whole number"],
            id="of one seed",
        ),
        pytest.param(
            ["seed=two,2,3"],
            ["1 of 3 jobs, such as seed=two: seed = 'two': should be a whole number"],
            id="of the first seed",
        ),
    ],
)
def test_a_sweep_is_refused_as_a_whole_with_all_its_mistakes(arguments: list[str], told: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        split(make_sweep(*arguments), *arguments)
    assert str(caught.value).splitlines() == told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["seed=1,2,1"], "two jobs are the same run: seed=1 and seed=1"),
        (
            ["lr_finder=range_test", "optimizer=adam", "optimizer.lr=0.1,0.2"],
            "two jobs are the same run: .*; lr_finder=range_test finds the rate, whatever optimizer.lr is",
        ),
        (["seed=range(0)"], "the sweep has no jobs"),
        (["seed=1,2", "hydra.sweep.subdir=same"], "hydra.sweep.subdir puts two jobs into .*same: seed=2 .* and seed=1"),
        (
            ["hydra.sweep.subdir=/elsewhere/${seed}"],
            "hydra.sweep.subdir leads to /elsewhere/1, which does not lie within",
        ),
        (["hydra.sweep.subdir=../${seed}"], "hydra.sweep.subdir leads to .*/1, which does not lie within"),
        (["hydra.sweep.subdir=a/../../${seed}"], "which does not lie within"),
        (["hydra.sweep.subdir=."], "which does not lie within"),
    ],
)
def test_jobs_that_are_none_or_one_and_the_same_are_refused(arguments: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        split(make_sweep(*arguments), *arguments)


def test_a_sweeps_folder_may_have_any_name() -> None:
    folder = r"it's, a = (sweep)\'"
    sweep = make_sweep("seed=1,2")
    sweep.master.hydra.sweep.dir = folder
    jobs = split(sweep, "seed=1,2")
    assert settings_of(Composer(sweep.loader, sweep.master).job(jobs[1], 1))[1].parent.name == folder
