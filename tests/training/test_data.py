"""Training data as tensors, from the small synthetic set."""

import numpy as np
import pytest
import torch

from vec2uage.data.loading import load_parts
from vec2uage.training.data import load

SMALL = ("dataset.size=small", "split.heldout_per_age=20", "augmentation.train_per_age=30")
CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", ["l2", "none", "standardize"])
def test_every_part_is_scaled_with_what_was_fitted_on_the_training_part(kind, make_run):
    run = make_run(*SMALL, normalization=kind)
    data, parts = load(run, CPU), load_parts(run.dataset, run.split, run.augmentation, 0)
    assert list(data.parts) == ["train", "validation", "test"]
    for name, inputs in data.parts.items():
        part = parts[name]
        vectors = part.vectors.astype(np.float64)
        if kind == "l2":
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        if kind == "standardize":
            train = parts["train"].vectors.astype(np.float64)
            vectors = (vectors - train.mean(0)) / train.std(0)
        np.testing.assert_allclose(inputs.x.numpy(), vectors, rtol=1e-3, atol=1e-4)
        assert inputs.age.tolist() == part.ages.tolist()
    assert data.test_names.tolist() == parts["test"].names.tolist()
    assert (data.dimension, data.encoder) == (parts["train"].dimension, parts["train"].encoder)


def test_runs_with_the_same_data_share_one_copy(make_run):
    assert load(make_run(*SMALL, seed=1), CPU) is load(make_run(*SMALL, seed=2), CPU)


def test_overfit_trains_validates_and_tests_on_one_batch(make_run):
    data = load(make_run(*SMALL, trainer={"overfit": True, "batch_size": 48}), CPU)
    assert len(data.train) == 48
    assert len(data.test_names) == len(data.test_subjects) == 48
    assert data.train is data.parts["validation"] is data.parts["test"]


def test_overfitting_makes_the_loss_vanish(make_run, train):
    run = make_run(
        *SMALL,
        "model.hidden=[128,64]",
        "early_stopping=none",
        "lr_schedule=constant",
        optimizer={"lr": 3e-3},
        trainer={"overfit": True, "max_epochs": 300},
    )
    assert train([run], load(run, CPU)).outcomes[0].scores["train/mae"] < 0.05
