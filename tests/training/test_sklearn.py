"""Regressors of scikit-learn: fitted, scored, saved and loaded as any other model."""

import dataclasses
import io
import json
import time
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from skops import io as skops
from threadpoolctl import threadpool_limits

from vec2uage.base.errors import UserError
from vec2uage.base.seeds import derive
from vec2uage.config.component import Component
from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.data.loading import load_parts
from vec2uage.predictions.metrics import METRICS, scores
from vec2uage.predictions.point import Point
from vec2uage.runs.folder import MODEL_SUFFIXES
from vec2uage.training.data import load as load_data
from vec2uage.training.inputs import VectorInputs
from vec2uage.training.learners import sklearn, skops_file
from vec2uage.training.learners.fitting import Sklearn
from vec2uage.training.learners.registry import READERS, learner_of
from vec2uage.training.learners.sklearn import SklearnModel
from vec2uage.training.learners.stacked_torch import StackedTorch
from vec2uage.training.normalization import Normalization
from vec2uage.training.regressors.gaussian_process import GaussianProcess
from vec2uage.training.run_settings import from_config

CPU = torch.device("cpu")
FOREST = ("model=ridge", "model._target_=sklearn.ensemble.RandomForestRegressor", "~model.alpha")
SMALL_FOREST = (*FOREST, "+model.n_estimators=5")
FEW_TREES = ("model=random_forest", "model.n_estimators=5")


class Middle(RegressorMixin, BaseEstimator):
    """A user's own: everybody is as old as those it was fitted on, in their middle."""

    def __init__(self, share=0.5):
        self.share = share

    def fit(self, x, y):
        self.age_ = float(np.quantile(y, self.share))
        return self

    def predict(self, x):
        return np.full(len(x), self.age_)


OWN = ("model=ridge", f"model._target_={__name__}.Middle", "~model.alpha", "+model.share=0.25")


def expected_scores(estimator, data, batch=None):
    found = {}
    for part, inputs in data.parts.items():
        predicted = Point(estimator.predict(inputs.x.double().numpy()).astype(np.float32))
        found |= {f"{part}/{n}": score for n, score in scores(inputs.age.numpy(), predicted, batch).items()}
    return found


@pytest.mark.parametrize(
    ("overrides", "estimator"),
    [
        (("model=ridge", "model.alpha=3"), Ridge(alpha=3)),
        (("model=svr", "model.C=30"), SVR(kernel="rbf", C=30, gamma="scale", epsilon=0.1)),
        (SMALL_FOREST, RandomForestRegressor(n_estimators=5, random_state=derive(1, "model") % 2**32)),
        (OWN, Middle(0.25)),
    ],
    ids=["ridge", "svr", "forest", "own"],
)
def test_a_regressor_is_fitted_and_scored_as_scikit_learn_does(overrides, estimator, make_run, make_data, train):
    data = make_data()
    seen = train([make_run(*overrides)], data)
    outcome = seen.outcomes[0]
    estimator.fit(data.train.x.double().numpy(), data.train.age.double().numpy())
    assert outcome.scores == pytest.approx(expected_scores(estimator, data))
    of_points = [name for name, metric in METRICS.items() if not metric.needs_spread]
    assert outcome.scores.keys() == {f"{part}/{name}" for part in data.parts for name in of_points}
    test = data.parts["test"]
    np.testing.assert_allclose(outcome.prediction.median, estimator.predict(test.x.double().numpy()), rtol=1e-6)
    assert (outcome.status, outcome.epochs, outcome.best_epoch, seen.epochs) == ("completed", 0, None, {})
    assert outcome.seconds > 0
    over_batches = train([make_run(*overrides, "trainer.mean_over=batches")], data).outcomes[0]
    assert over_batches.scores == pytest.approx(expected_scores(estimator, data, batch=32))


@pytest.mark.parametrize("overrides", [("model=ridge",), ("model=svr",), ("model=pls",)], ids=str)
def test_copies_of_a_face_count_as_rows_or_as_weights_alike(overrides, make_run, make_data, train):
    data, copies = make_data(), torch.arange(100) % 4 + 1
    few = data.train
    repeated = VectorInputs(few.x.repeat_interleave(copies, 0), few.age.repeat_interleave(copies))
    run = make_run(*overrides)
    estimator = run.model.build().fit(repeated.x.double().numpy(), repeated.age.double().numpy())
    seen = train([run], dataclasses.replace(data, parts={**data.parts, "train": repeated})).outcomes[0]
    test = data.parts["test"].x.double().numpy()
    assert seen.prediction.median == pytest.approx(estimator.predict(test), abs=2e-3)
    assert len(getattr(seen.model.estimator, "support_vectors_", few.x)) <= 100
    expected = expected_scores(estimator, dataclasses.replace(data, parts={"train": repeated}))
    assert seen.scores["train/mae"] == pytest.approx(expected["train/mae"], abs=2e-3)


@pytest.mark.parametrize("model", [("model=ridge",), FEW_TREES], ids=str)
def test_weights_of_rows_count_as_their_copies(model, make_run, make_data, train):
    data, copies = make_data(), torch.arange(100) % 4 + 1
    few = data.train
    parts = (
        VectorInputs(few.x.repeat_interleave(copies, 0), few.age.repeat_interleave(copies)),
        VectorInputs(few.x, few.age, copies * 1.0),
    )
    seen = [train([make_run(*model)], dataclasses.replace(data, parts={**data.parts, "train": p})) for p in parts]
    repeated, weighted = (found.outcomes[0].prediction.median for found in seen)
    assert repeated == pytest.approx(weighted, rel=1e-6)


def test_a_regressor_that_gives_no_number_has_diverged(make_run, make_data, train, monkeypatch):
    monkeypatch.setattr(Middle, "predict", lambda self, x: np.full(len(x), np.nan))
    outcome = train([make_run(*OWN)], make_data()).outcomes[0]
    assert (outcome.status, outcome.reason) == ("diverged", "the model gives no number for some faces")


@pytest.mark.parametrize("kind", ["l2", "standardize"])
@pytest.mark.parametrize("overrides", [("model=svr",), SMALL_FOREST, OWN], ids=["svr", "forest", "own"])
def test_a_loaded_model_predicts_bit_for_bit_what_the_run_predicted(kind, overrides, tmp_path, make_run, train):
    small = ("dataset.size=small", "split.heldout_per_age=20", "augmentation.train_per_age=20")
    run = make_run(*overrides, *small, normalization=kind)
    outcome = train([run], load_data(run, CPU)).outcomes[0]
    path = tmp_path / f"best{SklearnModel.suffix}"
    outcome.model.save(path)
    model = READERS[path.suffix].load(path, run.model)
    vectors = load_parts(run.dataset, run.split, run.augmentation, 0)["test"].vectors
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            assert np.array_equal(model.predict(vectors).median, outcome.prediction.median)
    assert (model.dimension, model.encoder) == (outcome.model.dimension, outcome.model.encoder)
    assert model.normalization.kind == kind


def test_every_run_of_a_learner_is_fitted_from_its_own_seed(make_run, make_data, train):
    runs = [make_run(*SMALL_FOREST, seed=seed) for seed in (3, 4, 3)]
    together = train(runs, make_data())
    assert together.everything(0) == together.everything(2) != together.everything(1)
    assert together.everything(1) == train([runs[1]], make_data()).everything(0)
    fixed = [make_run(*SMALL_FOREST, "+model.random_state=7", seed=seed) for seed in (3, 4)]
    seen = train(fixed, make_data())
    assert seen.everything(0) == seen.everything(1) != together.everything(0)


@pytest.mark.parametrize(
    "option",
    ["split.heldout_per_age=30", "split.group=none", "dataset.label=floor", "augmentation.seed=1", "model.alpha=2"],
)
def test_regressors_share_data_only_if_they_differ_in_nothing_but_the_seed(option, make_run):
    common = ("model=ridge", "dataset=synthetic", "dataset.size=small")
    one, same, other = (make_run(*common, *more) for more in ((), ("seed=7",), (option,)))
    learner = learner_of(one)
    assert learner.stack_key(one) == learner.stack_key(same)
    assert learner.stack_key(one) != learner.stack_key(other)


def test_the_model_says_which_learner_trains_it(make_run, make_data):
    run, data = make_run("model=ridge"), make_data()
    learner = learner_of(run)
    assert isinstance(learner, Sklearn)
    assert isinstance(learner_of(make_run()), StackedTorch)
    assert learner.steps_per_epoch(run, data) == 0
    assert not learner.check_stackable(run, data, CPU).stackable
    assert learner.stack_key(run) != learner.stack_key(make_run("model=ridge", "model.alpha=2"))
    assert set(READERS) == set(MODEL_SUFFIXES)


def test_a_run_that_has_not_begun_when_all_are_interrupted_has_nothing(make_run, make_data, train):
    seen = train([make_run("model=ridge", seed=seed) for seed in (1, 2)], make_data(), stop_after=1)
    assert [seen.outcomes[run].status for run in range(2)] == ["completed", "interrupted"]
    assert (seen.outcomes[1].scores, seen.outcomes[1].model) == ({}, None)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (("model=ridge", "model.alpha=-1"), r"alpha.*Ridge.*-1"),
        (("model=svr", "model.kernel=gaussian"), r"kernel.*SVR.*gaussian"),
        (("model=ridge", "+model.alhpa=1"), r"^model\.alhpa = 1: no such option; did you mean alpha\?"),
        (("model=ridge", "model._target_=sklearn.cluster.KMeans", "~model.alpha"), r"^model\._target_ = .*a regressor"),
        ((*OWN, "+model.shares=1"), r"^model\.shares = 1: no such option"),
    ],
)
def test_options_are_checked_before_any_work(overrides, says, make_run):
    with pytest.raises(UserError, match=says):
        make_run(*overrides)


@pytest.mark.parametrize("group", ["optimizer", "averaging", "loss", "lr_finder"])
def test_an_option_of_networks_is_refused_in_a_sentence(group, make_run):
    option = {"optimizer": "optimizer.lr=0.1", "averaging": "averaging=swa", "loss": "loss=l1"}
    with pytest.raises(UserError, match=rf"^{group}: .*Ridge is no network.*leave it out"):
        make_run("model=ridge", option.get(group, f"{group}=range_test"))


def test_what_is_for_networks_alone_makes_no_other_run(make_run):
    def settings(*overrides):
        with initialize_config_dir(conf_dir(), version_base="1.3"):
            return from_config(compose("train", list(overrides)), {}, ())  # as where a recipe had set them

    one, other = settings("model=ridge"), settings("model=ridge", "optimizer=sgd", "loss=l1", "early_stopping=none")
    assert (one.config_hash, one.identity()) == (other.config_hash, other.identity())
    another = settings("model=ridge", "model.alpha=2")
    assert one.config_hash != another.config_hash
    assert one.identity() != another.identity()


HONEST = {
    "format": "vec2uage-sklearn-1",
    "estimator": Ridge().fit(np.eye(3), np.arange(3.0)),
    "dimension": 3,
    "normalization": "none",
    "mean": None,
    "std": None,
    "encoder": "facenet",
}


def forged(path, **said):
    path.write_bytes(skops.dumps({**HONEST, **said}))
    return path


def test_a_file_is_read_whose_classes_skops_trusts_and_others_only_with_their_runs_configuration(tmp_path):
    path = tmp_path / "best.skops"
    assert sklearn.load(forged(path)).predict(np.eye(3, dtype=np.float32)).median.shape == (3,)
    forest = Component("sklearn.ensemble.RandomForestRegressor")
    for estimator, configured, strange in (
        (Middle(), Component(f"{__name__}.Middle"), "Middle"),
        (RandomForestRegressor(2), forest, "Tree"),
        (
            KNeighborsRegressor(2, algorithm="kd_tree"),
            Component("sklearn.neighbors.KNeighborsRegressor"),
            "(KDTree|Distance64)",
        ),
    ):
        forged(path, estimator=estimator.fit(np.eye(3), np.arange(3.0)))
        with pytest.raises(UserError, match=rf"holds a \S*{strange}.* in its run folder only"):
            sklearn.load(path)
        assert type(sklearn.load(path, configured).estimator) is type(estimator)
    forged(path, estimator=Middle())
    with pytest.raises(UserError, match=r"holds a \S*Middle, .* in its run folder only"):
        sklearn.load(path, forest)


class Evil(BaseEstimator):
    """Would leave a file, were it made or given its attributes."""

    def __setstate__(self, state):
        raise AssertionError("a class that a file names was run")


@pytest.mark.parametrize("configured", [None, Component("sklearn.linear_model.Ridge")])
def test_nothing_is_run_because_a_file_names_it(configured, tmp_path):
    for strange in (Evil(), np.testing.assert_equal, torch.nn.ReLU):
        with pytest.raises(UserError, match="in its run folder only"):
            sklearn.load(forged(tmp_path / "m", estimator=strange), configured)


def test_a_damaged_or_foreign_file_is_refused(tmp_path):
    path = tmp_path / "best.skops"
    with pytest.raises(UserError, match="no such file"):
        sklearn.load(path)
    SklearnModel(HONEST["estimator"], 3, Normalization("none"), "e").save(path)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="no readable skops file"):
            sklearn.load(path)
    for foreign in ([1, 2], Ridge(), {"format": "vec2uage-sklearn-0"}):
        path.write_bytes(skops.dumps(foreign))
        with pytest.raises(UserError, match="no model written by this version of vec2uage"):
            sklearn.load(path)


def test_equal_models_make_equal_files_at_any_time(tmp_path, monkeypatch):
    """Skops writes the time, and addresses in memory."""
    files = []
    for day in (1, 2):
        monkeypatch.setattr(time, "localtime", lambda *_, day=day: time.struct_time((2026, 1, day, 0, 0, 0, 0, 0, 0)))
        pipe = make_pipeline(StandardScaler(), RandomForestRegressor(2, random_state=0))
        SklearnModel(pipe.fit(np.eye(3), np.arange(3.0)), 3, Normalization("none"), "e").save(tmp_path / f"{day}.skops")
        files.append((tmp_path / f"{day}.skops").read_bytes())
        files.append(pipe)  # so that the next one has other addresses
    assert files[0] == files[2]


def test_what_lies_in_memory_between_the_numbers_of_a_tree_is_no_part_of_a_model(tmp_path):
    """A calibration is bound to the digest, so that it must be the same whenever a model is read."""
    forest = RandomForestRegressor(10, random_state=0).fit(np.eye(9), np.arange(9.0))
    saved = SklearnModel(forest, 9, Normalization("none"), "e")
    saved.save(tmp_path / "best.skops")
    model = Component("sklearn.ensemble.RandomForestRegressor")
    assert {sklearn.load(tmp_path / "best.skops", model).digest for _ in range(3)} == {saved.digest}
    gaps = np.dtype({"names": ["node", "left"], "formats": ["<i8", "u1"], "offsets": [0, 8], "itemsize": 16})
    clean, dirty = (np.frombuffer((bytes(9) + filler * 7) * 4, gaps) for filler in (b"\0", b"x"))
    assert skops_file.to_bytes(clean) == skops_file.to_bytes(dirty)


def test_a_flipped_bit_is_told_or_changes_nothing(tmp_path):
    path = tmp_path / "best.skops"
    SklearnModel(HONEST["estimator"], 3, Normalization("none"), "e").save(path)
    whole = path.read_bytes()
    expected = sklearn.load(path).predict(np.eye(3, dtype=np.float32)).median
    for place in range(0, len(whole), 29):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with suppress(UserError):
            assert np.array_equal(sklearn.load(path).predict(np.eye(3, dtype=np.float32)).median, expected)


def _zipped(compression, *members):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return written.getvalue()


def _of_arrays(*numbers):
    """Return a list of arrays, all of the same member of the archive."""
    return {
        "__class__": "list",
        "__module__": "builtins",
        "__loader__": "ListNode",
        "__id__": -1,
        "protocol": 2,
        "content": [
            {
                "__class__": "ndarray",
                "__module__": "numpy",
                "__loader__": "NdArrayNode",
                "type": "numpy",
                "file": "a",
                "__id__": number,
            }
            for number in numbers
        ],
    }


HUGE = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(127) + b"\n"


@pytest.mark.parametrize(
    "content",
    [
        _zipped(zipfile.ZIP_DEFLATED, ("schema.json", "{}"), ("a", bytes(10**6))),
        _zipped(zipfile.ZIP_STORED, ("schema.json", json.dumps(_of_arrays(1, 2))), ("a", b"")),
        _zipped(zipfile.ZIP_STORED, ("schema.json", json.dumps(_of_arrays(1))), ("a", HUGE)),
        _zipped(zipfile.ZIP_STORED, ("schema.json", "[" * 100_000)),
        _zipped(zipfile.ZIP_STORED, ("schema.json", '{"a":' * 900 + "1" + "}" * 900)),
        _zipped(zipfile.ZIP_STORED, ("schema.json", "[]")),
        _zipped(zipfile.ZIP_STORED, ("other", "")),
    ],
    ids=["bomb", "arrays", "shape", "deep", "nested", "list", "empty"],
)
def test_a_file_that_unfolds_to_more_than_it_holds_is_refused(content, tmp_path):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(UserError, match="no readable skops file"):
        sklearn.load(tmp_path / "m")


SCALED = {"normalization": "standardize", "mean": np.zeros(3, np.float32), "std": np.ones(3, np.float32)}


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"dimension": 0}, r"damaged or of another version \(dimension"),
        ({"normalization": "l3"}, r"damaged or of another version \(normalization"),
        ({"normalization": "standardize"}, "mean and deviation do not fit"),
        ({"mean": np.zeros(2), "std": np.ones(2)}, "mean and deviation do not fit"),
        (SCALED | {"std": np.zeros(3, np.float32)}, "mean and deviation do not fit"),
        (SCALED | {"std": np.array(["a", "b", "c"])}, "mean and deviation do not fit"),
        ({"estimator": {"a": 1}}, "holds a dict, which is no regressor"),
        ({"estimator": Ridge()}, "gives no age for 3 numbers"),
        ({"estimator": GaussianProcess()}, "gives no age for 3 numbers"),
        ({"dimension": 4}, "gives no age for 4 numbers"),
    ],
)
def test_content_that_was_never_saved_is_refused(said, says, tmp_path):
    with pytest.raises(UserError, match=says):
        sklearn.load(forged(tmp_path / "m", **said))


@pytest.mark.slow
def test_the_memory_of_a_kernel_is_planned_for(make_run, make_data):
    data, copies = make_data(), torch.arange(100) % 4 + 1
    few = data.train
    repeated = VectorInputs(few.x.repeat_interleave(copies, 0), few.age.repeat_interleave(copies))
    data = dataclasses.replace(data, parts={**data.parts, "train": repeated})

    def needed(*overrides):
        run = make_run(*overrides)
        return learner_of(run).run_bytes(run, data) - 2 * repeated.x.nbytes

    assert needed("model=ridge") == 0
    assert needed("model=svr") == 4 * 100**2
    exact, sparse = (needed("model=kernel_ridge", f"model.exact_rows={rows}", "model.inducing=9") for rows in (100, 99))
    assert exact == 8 * 100 * 600 > sparse
    assert needed("model=gaussian_process", "model.tuning_rows=null") == exact + 4 * 100**2
    assert needed("model=gaussian_process", "model.exact_rows=1", "model.inducing=1") == 6 * 8 * 100**2
