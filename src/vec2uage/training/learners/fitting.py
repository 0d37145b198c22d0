"""Fits regressors of scikit-learn: without epochs, one by one, to each distinct face where weights allow it."""

import time
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch

from vec2uage.base.seeds import derive
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.metrics import scores
from vec2uage.training.checkpoint import Checkpoint
from vec2uage.training.data import TrainingData
from vec2uage.training.inputs import VectorInputs, weights_of
from vec2uage.training.learners.base import Observer
from vec2uage.training.learners.sklearn import SklearnModel, in_double
from vec2uage.training.outcome import Outcome
from vec2uage.training.regressors.base import Sizable, takes_weights
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stack_check import StackCheck


class Sklearn:
    """Fits any regressor of scikit-learn, or one made to its rules, named by `model._target_`; one run at a time."""

    def stack_key(self, run: RunSettings) -> Hashable:
        apart = ("seed", *run.unused_groups)
        shared = {name: option for name, option in run.options().items() if name not in apart}
        return *shared.items(), run.split_seed

    def check_stackable(self, run: RunSettings, data: TrainingData, device: torch.device) -> StackCheck:
        return StackCheck(False, reason="scikit-learn fits one model at a time")

    def run_bytes(self, run: RunSettings, data: TrainingData) -> int:
        regressor = run.model.build()
        vectors = 2 * data.train.x.nbytes  # in double precision
        if not isinstance(regressor, Sizable):
            return vectors
        return vectors + regressor.fit_bytes(len(data.train.distinct.rows))

    def steps_per_epoch(self, run: RunSettings, data: TrainingData) -> int:
        return 0

    def warning(self, run: RunSettings, data: TrainingData) -> str:
        return ""

    def made_of(self, run: RunSettings) -> list[str]:
        return []

    def fit(
        self,
        runs: Sequence[RunSettings],
        data: TrainingData,
        device: torch.device,
        observer: Observer,
        checkpoints: Sequence[Checkpoint] = (),
    ) -> None:
        from threadpoolctl import threadpool_limits

        # For good: other runs may be fitted in other threads, and the sums of a BLAS depend on its threads.
        threadpool_limits(1, user_api="blas")
        for position, run in enumerate(runs):
            if observer.interrupted():
                observer.end(position, Outcome(status="interrupted"))
                continue
            # Boosting and neighbours would take all cores, beside as many other runs.
            with threadpool_limits(torch.get_num_threads(), user_api="openmp"):
                outcome = _fitted(run, data)
            observer.end(position, outcome)


def _fitted(run: RunSettings, data: TrainingData) -> Outcome:
    """Fit one regressor; one that draws random numbers draws them from the run's seed, unless its options say how."""
    began = time.perf_counter()
    takes_seed = run.model.accepts("random_state") and "random_state" not in dict(run.model.options)
    extra = {"random_state": derive(run.seed, "model") % 2**32} if takes_seed else {}
    estimator = run.model.build(**extra)
    model = SklearnModel(_fit(estimator, data.train), data.dimension, data.normalization, data.encoder)
    outcome = Outcome(status="completed", model=model)
    for part, inputs in data.parts.items():
        prediction = _predict_copies(model, inputs) if part == "train" else model.predict_normalized(inputs.x)
        measured = scores(inputs.age.cpu().numpy(), prediction, run.trainer.scored_batch, weights=weights_of(inputs))
        outcome.scores |= {f"{part}/{name}": score for name, score in measured.items()}
        if part == "test":
            outcome.prediction = prediction
        if not np.isfinite(prediction.median).all():
            outcome.status, outcome.reason = "diverged", "the model gives no number for some faces"
    outcome.seconds = time.perf_counter() - began
    return outcome


def _fit(estimator: Any, train: VectorInputs) -> Any:
    """Fit to each distinct row once, where it can have the weight of its copies, and else to all rows."""
    x, age = train.x.cpu(), train.age.double().cpu().numpy()
    weight = weights_of(train)
    if not takes_weights(estimator):
        return estimator.fit(in_double(x), age)
    faces = train.distinct
    if weight is None and len(faces.rows) == len(age):
        return estimator.fit(in_double(x), age)
    return estimator.fit(in_double(x[faces.rows]), age[faces.rows], sample_weight=faces.total(weight))


def _predict_copies(model: SklearnModel, inputs: VectorInputs) -> Prediction:
    """Return what a model says of rows that are repeated, from one look at each."""
    faces = inputs.distinct
    return model.predict_normalized(inputs.x[faces.rows]).take(faces.of_row)
