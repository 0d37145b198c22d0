"""Heads with a grid of ages: their losses against plain ones, the grid they get, and the distributions they give."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from torch.nn import functional as F

from vec2uage.base.errors import UserError
from vec2uage.base.manifest import describe, write_manifest
from vec2uage.training import data, model_file, models
from vec2uage.training.heads.classes import Classes
from vec2uage.training.heads.grid import UNIT
from vec2uage.training.heads.label_distribution import LabelDistribution
from vec2uage.training.heads.mean_variance import MeanVariance
from vec2uage.training.heads.ordinal import Ordinal

AGES = (1, 6)
HEADS = {
    "classes": Classes(ages=AGES),
    "mean_variance": MeanVariance(ages=AGES, mean_weight=0.3, variance_weight=0.1),
    "label_distribution": LabelDistribution(ages=AGES, sigma=1.3, expectation_weight=0.7),
    "geng": LabelDistribution(ages=AGES, sigma=2.0, expectation_weight=0.0),
    "coral": Ordinal(ages=AGES, method="coral"),
    "corn": Ordinal(ages=AGES, method="corn"),
}
GRID = torch.arange(1.0, 7.0, dtype=torch.float64)
LABELS = torch.tensor([[1.0, 6.0, 3.0, 2.25], [5.5, 4.0, 1.75, 5.9]], dtype=torch.float64)
OPTIONS = {
    "classes": ("head=classes",),
    "mean_variance": ("head=mean_variance",),
    "label_distribution": ("head=label_distribution",),
    "coral": ("head=ordinal",),
    "corn": ("head=ordinal", "head.method=corn"),
}
every_head = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())


def drawn(head, seed=0):
    """Outputs of two runs for four faces."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 4, head.outputs, generator=generator, dtype=torch.float64)


def plain_loss(head, raw, age):
    """The loss of one face of a whole age or between two, as one writes it down from its paper."""
    low = min(int(age), 5)
    if isinstance(head, Classes | Ordinal) and age != int(age):
        part = age - low
        return (1 - part) * plain_loss(head, raw, low) + part * plain_loss(head, raw, low + 1)
    if isinstance(head, Classes):
        return F.cross_entropy(raw, torch.tensor(int(age) - 1))
    if isinstance(head, Ordinal):
        levels = [float(age > k) for k in range(1, 6)]
        if head.method == "corn":  # only those who are older than the age before are asked
            levels = levels[: int(age)]
        answers = torch.sigmoid(raw[: len(levels)])
        return F.binary_cross_entropy(answers, torch.tensor(levels, dtype=torch.float64), reduction="sum")
    p = torch.softmax(raw, 0)
    mean = (p * GRID).sum()
    if isinstance(head, MeanVariance):
        shares = torch.tensor([max(0.0, 1 - abs(age - g)) for g in range(1, 7)], dtype=torch.float64)
        variance = (p * (GRID - mean) ** 2).sum()
        return F.cross_entropy(raw, shares) + 0.3 * (mean - age) ** 2 / 2 + 0.1 * variance
    q = norm.pdf(GRID.numpy(), age, head.sigma)
    divergence = F.kl_div(torch.log(p), torch.from_numpy(q / q.sum()), reduction="sum")
    return divergence + head.expectation_weight * abs(mean - age)


@every_head
def test_the_loss_is_the_plain_one_and_its_derivative_that_of_autograd(head):
    raw = drawn(head).requires_grad_()
    expected = torch.stack(
        [
            torch.stack([plain_loss(head, UNIT * face, float(age)) for face, age in zip(*run, strict=True)])
            for run in zip(raw, LABELS, strict=True)
        ]
    )
    (by_autograd,) = torch.autograd.grad(expected.sum(), raw)
    with torch.no_grad():
        losses, gradient = head.loss_with_gradient(raw, LABELS)
        torch.testing.assert_close(losses, expected)
        torch.testing.assert_close(gradient, by_autograd)
        torch.testing.assert_close(head.loss_of(raw, LABELS), losses, rtol=0, atol=0)


def test_losses_of_hand():
    raw = torch.log(torch.tensor([[[0.5, 0.25, 0.25]]])) / UNIT
    age = torch.tensor([[2.0]])
    # mean 1.75, variance 0.6875
    assert float(Classes(ages=(1, 3)).loss_of(raw, age)) == pytest.approx(math.log(4))
    expected = math.log(4) + 0.2 * 0.25**2 / 2 + 0.05 * 0.6875
    assert float(MeanVariance(ages=(1, 3)).loss_of(raw, age)) == pytest.approx(expected)
    logits = torch.logit(torch.tensor([[[0.8, 0.5]]])) / UNIT
    assert float(Ordinal(ages=(1, 3)).loss_of(logits, age)) == pytest.approx(-math.log(0.8 * 0.5))
    older = torch.tensor([[[0.8, 0.5]]]).logit() / UNIT
    coral, corn = (Ordinal(ages=(1, 3), method=m).prediction(older[0].numpy()) for m in ("coral", "corn"))
    np.testing.assert_allclose(coral.probabilities, [[0.2, 0.3, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(corn.probabilities, [[0.2, 0.4, 0.4]], rtol=1e-6)
    assert float(corn.cdf(1.5)[0]) == pytest.approx(0.2)


@every_head
def test_outputs_that_are_sure_cost_much_or_nothing_but_are_never_infinite(head):
    head = replace(head, ages=(1, 40))
    for size in (1e2, 1e4, 1e29):
        for sign in (1, -1):
            raw = torch.zeros(1, 2, head.outputs)
            raw[..., ::2] = sign * size
            losses, gradient = head.loss_with_gradient(raw, torch.tensor([[1.0, 39.5]]))
            assert losses.isfinite().all()
            assert gradient.isfinite().all()
            assert (losses >= -1e-3 * size).all()


@every_head
def test_a_face_has_the_same_bits_wherever_it_stands_in_a_batch_or_a_stack(head):
    head = replace(head, ages=(1, 19))
    generator = torch.Generator().manual_seed(1)
    raw = torch.randn(3, 37, head.outputs, generator=generator)
    age = 1 + 18 * torch.rand(3, 37, generator=generator)
    losses, gradient = head.loss_with_gradient(raw, age)
    for run in range(3):
        own = slice(run, run + 1)
        alone = head.loss_with_gradient(raw[own], age[own])
        assert torch.equal(alone[0][0], losses[run])
        assert torch.equal(alone[1][0], gradient[run])
        assert torch.equal(head.point(raw[own])[0], head.point(raw)[run])


@given(age=st.floats(1, 6))
def test_a_label_is_shared_out_whole_and_its_mean_is_the_label(age):
    shares = Classes(ages=AGES).shares(torch.tensor([[age]], dtype=torch.float64))[0, 0]
    assert float(shares.sum()) == pytest.approx(1)
    assert float((shares * GRID).sum()) == pytest.approx(age)
    assert (shares > 0).sum() <= 2


@every_head
@settings(max_examples=25)
@given(raw=st.lists(st.floats(-200, 200, width=32), min_size=6, max_size=6))
def test_any_outputs_are_a_distribution_whose_mean_is_the_point(head, raw):
    raw = np.array([raw[: head.outputs]], dtype=np.float32)
    said = head.prediction(raw)
    assert said.probabilities.sum() == pytest.approx(1)
    assert (said.probabilities >= 0).all()
    assert said.ages.tolist() == [1, 2, 3, 4, 5, 6]
    assert np.diff([said.cdf(age)[0] for age in np.arange(0.5, 7, 0.5)]).min() >= 0
    assert (said.cdf(0.5)[0], said.cdf(6.5)[0]) == (0, 1)
    assert float(head.point(torch.from_numpy(raw[None]))) == pytest.approx(float(said.mean[0]), abs=1e-4)


def test_a_soft_label_without_the_second_term_is_learned_to_its_entropy():
    head = HEADS["geng"]
    q = torch.from_numpy(norm.pdf(GRID.numpy(), 3.0, 2.0))
    raw = torch.log(q)[None, None] / UNIT
    assert float(head.loss_of(raw, torch.tensor([[3.0]], dtype=torch.float64))) == pytest.approx(0, abs=1e-12)


def test_the_grid_is_that_of_the_labels_or_as_set(make_run):
    def ages(*overrides):
        return make_run("head=classes", *overrides).head.ages

    assert ages() == (1, 19)  # a face of the split may be 18.7 years old
    assert ages("dataset.label=whole") == (1, 18)
    assert ages("split.age_range=[3,40]", "dataset.label=whole") == (3, 40)
    assert ages("head.ages=[2,30]") == (2, 30)
    narrow, wide = (make_run("head=ordinal", f"split.age_range=[1,{last}]") for last in (18, 30))
    assert (narrow.head.outputs, wide.head.outputs) == (18, 30)
    assert narrow.identity() != wide.identity()


def test_the_grid_of_a_prepared_set_is_that_of_its_ages(make_run, tmp_path):
    files = [f"{part}.arrow" for part in ("train", "validation", "test")]
    for name in files:
        (tmp_path / name).touch()
    parts = {"train": {"per_age": {"4": 9, "12": 1}}, "validation": {"per_age": {"7": 2}}, "test": {"per_age": {}}}
    manifest = describe(tmp_path, files, about={"parts": parts}, inputs={}, options={})
    write_manifest(tmp_path / "dataset.json", manifest)
    prepared = ("head=classes", "dataset=prepared", f"dataset.path={tmp_path}", "dataset.label=whole")
    assert make_run(*prepared).head.ages == (4, 12)
    assert make_run(*prepared, "split.age_range=[5,9]").head.ages == (5, 9)
    with pytest.raises(UserError, match="no such folder"):
        make_run(*prepared, f"dataset.path={tmp_path / 'gone'}")


def test_what_is_wrong_with_a_grid_is_said_before_training(make_run):
    with pytest.raises(UserError, match=r"head\.ages.*first age must be below the last"):
        make_run("head=classes", "head.ages=[5,5]")
    with pytest.raises(UserError, match=r"all labels are 5 years"):
        make_run("head=classes", "split.age_range=[5,5]", "dataset.label=whole")
    with pytest.raises(UserError, match=r"head\.method"):
        make_run("head=ordinal", "head.method=corral")
    with pytest.raises(UserError, match=r"head\.sigma"):
        make_run("head=label_distribution", "head.sigma=0")
    single = make_run("model._target_=torch.nn.Linear", "~model.hidden", "head=ordinal")
    with pytest.raises(UserError, match=r"takes no tied_outputs.*head\.method=corn"):
        models.build(single.model, 4, single.head.outputs, 0, single.head.tied_outputs)


def test_labels_outside_the_grid_are_refused_before_training(make_run, tmp_path):
    ages = np.tile(np.array([3.0, 4.5, 5.75]), 8)
    vectors = np.random.default_rng(0).normal(size=(24, 8)).astype(np.float32)
    np.savez(tmp_path / "faces.npz", vectors=vectors, ages=ages, encoder="e")
    of_file = ("dataset=vectors", f"dataset.path={tmp_path}/faces.npz", "split.heldout_per_age=2", "augmentation=none")
    narrow = make_run("head=classes", "head.ages=[1,5]", "split.age_range=[3,5]", *of_file)
    with pytest.raises(UserError, match=r"head\.ages = \[1,5\]: the .* part .* 5\.75 years.*head\.ages=\[1,6\]"):
        data.load(narrow, torch.device("cpu"))
    fitting = make_run("head=classes", "split.age_range=[3,5]", *of_file)
    assert fitting.head.ages == (3, 6)
    assert len(data.load(fitting, torch.device("cpu")).train) == 18


@every_option
def test_each_trains_alike_alone_and_stacked_learns_and_is_read_back(options, make_run, make_data, train, tmp_path):
    known = make_data(24, rows=400)
    shared = ("optimizer=adam", *options, "early_stopping=none")
    runs = [
        make_run(*shared, optimizer={"lr": lr}, trainer={"max_epochs": 6}, seed=seed)
        for seed, lr in enumerate((3e-2, 1e30, 3e-3))
    ]
    together = train(runs, known)
    assert together.outcomes[1].status == "diverged"
    assert together.everything(2) == train(runs[2:], known).everything(0)
    outcome = together.outcomes[0]
    age = known.parts["test"].age.numpy()
    assert outcome.scores["test/mae"] < 0.7 * np.abs(age - np.median(age)).mean()
    first, last = (together.epochs[0][epoch].scores["train/mae"] for epoch in (0, -1))
    assert last < first
    outcome.model.save(tmp_path / "model.safetensors")
    again = model_file.load(tmp_path / "model.safetensors").predict(known.parts["test"].x.numpy())
    for name, column in outcome.prediction.columns().items():
        np.testing.assert_allclose(again.columns()[name], column, rtol=1e-4, atol=1e-6)


def test_coral_keeps_the_biases_of_its_one_product_in_order(make_run, make_data, train):
    run = make_run("optimizer=adam", "head=ordinal", optimizer={"lr": 0.01})
    weights = train([run], make_data(rows=400)).outcomes[0].weights
    assert weights["layers.2.weight"].shape == (1, 16)
    bias = weights["layers.2.bias"]
    assert bias.shape == (18,)
    assert (bias.diff() < 0).all()
    assert not torch.allclose(bias, torch.linspace(0.5, -0.5, 18), atol=0.05)


@pytest.mark.parametrize("method", ["coral", "corn"])
def test_ages_that_are_all_but_ruled_out_keep_their_probability(method):
    """Where the answers are so sure that they round to 1."""
    logits = np.linspace(50, 45, 5)
    prediction = Ordinal(ages=AGES, method=method).prediction(logits[None] / UNIT)
    below = np.exp(-logits) if method == "corn" else np.diff(np.exp(-logits), prepend=0)
    np.testing.assert_allclose(prediction.probabilities[0], [*below, 1], rtol=1e-9)
