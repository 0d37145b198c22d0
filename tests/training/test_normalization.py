"""Input normalisation: fitted on training rows, applied to all."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import Normalizer, StandardScaler

from vec2uage.training.normalization import fit

TRAIN = torch.from_numpy(np.random.default_rng(0).normal(3, 2, (50, 6)).astype(np.float32))
OTHER = torch.from_numpy(np.random.default_rng(1).normal(-1, 5, (20, 6)).astype(np.float32))


def test_standardize_uses_mean_and_deviation_of_the_training_rows_only():
    expected = StandardScaler().fit(TRAIN.numpy()).transform(OTHER.numpy())
    np.testing.assert_allclose(fit("standardize", TRAIN)(OTHER).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_standardize_counts_rows_by_their_weights():
    train = torch.cat([TRAIN, torch.full((50, 1), 0.1)], dim=1)
    weight = torch.arange(50) % 3 + 1.0
    weighted, repeated = (
        fit("standardize", train, weight / 2),
        fit("standardize", train.repeat_interleave(weight.long(), 0)),
    )
    torch.testing.assert_close(weighted.mean, repeated.mean)
    torch.testing.assert_close(weighted.std, repeated.std)


def test_standardize_leaves_a_dimension_that_never_varies_at_zero():
    train = TRAIN.clone()
    train[:, 2] = 7.0
    scaled = fit("standardize", train)(train)
    assert torch.isfinite(scaled).all()
    assert (scaled[:, 2] == 0).all()


def test_l2_gives_every_vector_length_one_and_leaves_zero_alone():
    rows = torch.cat([OTHER, torch.zeros(1, 6)])
    scaled = fit("l2", TRAIN)(rows)
    np.testing.assert_allclose(scaled[:-1].numpy(), Normalizer().transform(OTHER.numpy()), rtol=1e-5, atol=1e-7)
    assert (scaled[-1] == 0).all()


def test_none_changes_nothing():
    assert torch.equal(fit("none", TRAIN)(OTHER), OTHER)


@pytest.mark.parametrize("kind", ["l2", "none", "standardize"])
def test_a_vector_is_scaled_alike_alone_and_among_others(kind):
    normalization = fit(kind, TRAIN)
    assert torch.equal(normalization(OTHER[7:8])[0], normalization(OTHER)[7])
