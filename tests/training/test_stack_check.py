"""What may share a stack, and how much memory a run needs: asked of a network before any is trained."""

import pytest
import torch
from torch import nn

from vec2uage.config.component import Component
from vec2uage.training import memory, stack_check
from vec2uage.training.learners.stacked_torch import StackedTorch
from vec2uage.training.stack_check import StackCheck, check_stackable

CPU = torch.device("cpu")


class Dropping(nn.Module):
    """Draws random numbers while it trains."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(in_features, 8), nn.Dropout(0.5), nn.Linear(8, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Branching(nn.Module):
    """Looks at its own values, which `torch.func` cannot follow for many networks at once."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.layer = nn.Linear(in_features, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return y if y.sum() > 0 else 2 * y


@pytest.mark.parametrize("overrides", [("model=vec2uage",), ("model=linear",)])
def test_the_models_that_come_along_can_be_stacked(overrides, make_run):
    found = check_stackable(make_run(*overrides, "trainer.batch_size=64"), 512, 360, CPU)
    assert (found.stackable, found.is_stochastic, found.reason) == (True, False, "")


@pytest.mark.parametrize("tied_outputs", [False, True])
def test_a_layer_of_a_few_outputs_has_the_same_bits_alone_and_stacked_on_any_threads(tied_outputs):
    for hidden, widths in (((), range(2, 41)), ((512, 256, 128), (6, 18))):
        model = Component("vec2uage.training.models.MLP", (("hidden", hidden),))
        for outputs in widths:
            found = stack_check._check_stackable(model, outputs, tied_outputs, "float32", 512, (40, 64), CPU)
            assert (outputs, found) == (outputs, StackCheck(True))


@pytest.mark.parametrize(
    ("model", "is_stochastic", "reason"),
    [(Dropping, True, "random numbers"), (Branching, False, "torch.func cannot stack the model")],
)
def test_a_model_that_cannot_be_stacked_trains_alone_for_a_reason(model, is_stochastic, reason, make_run):
    run = make_run(f"model._target_={__name__}.{model.__name__}", "~model.hidden")
    found = check_stackable(run, 512, 360, CPU)
    assert (found.stackable, found.is_stochastic) == (False, is_stochastic)
    assert reason in found.reason


ALIKE = {
    "seed": ({"seed": 4}, {"seed": 7}),
    "optimizer.lr": ({"optimizer": {"lr": 0.5}}, {"optimizer": {"lr": 0.25}}),
    "lr_schedule.patience": ({"lr_schedule": {"patience": 4}}, {"lr_schedule": {"patience": 7}}),
    "early_stopping.min_delta": ({"early_stopping": {"min_delta": 0.5}}, {"early_stopping": {"min_delta": 0.25}}),
    "averaging.swa_lr": ({"averaging": {"swa_lr": 0.5}}, {"averaging": {"swa_lr": 0.25}}),
}
APART = {
    "trainer.monitor": ({"trainer": {"monitor": "validation/loss"}}, {"trainer": {"monitor": "validation/mae"}}),
    "lr_schedule.monitor": (
        {"lr_schedule": {"monitor": "validation/loss"}},
        {"lr_schedule": {"monitor": "validation/mae"}},
    ),
    "averaging.start": ({"averaging": {"start": 1}}, {"averaging": {"start": 2}}),
    "normalization": ({"normalization": "l2"}, {"normalization": "none"}),
}


@pytest.mark.parametrize(("options", "shared"), [(ALIKE, True), (APART, False)], ids=["of one run", "of the stack"])
def test_the_numbers_of_a_run_are_its_own_and_all_else_is_that_of_its_stack(options, shared, make_run):
    key = StackedTorch().stack_key
    for name, changes in options.items():
        one, other = (key(make_run("optimizer=swa", **change)) for change in changes)
        assert (one == other) == shared, name


def test_averaging_and_head_keep_runs_apart(make_run):
    key = StackedTorch().stack_key
    kinds = [
        key(make_run("optimizer=adam", *more))
        for more in ((), ("averaging=swa",), ("loss=l1",), ("head._target_=test_heads.Thirds", "~head.loss"))
    ]
    assert len(set(kinds)) == len(kinds)


def test_the_memory_of_a_run_counts_all_it_holds(make_run):
    paper, rows = ("model.hidden=[512,256,128]", "trainer.batch_size=64"), 90_000
    sgd, adam, averaged = (
        make_run(*paper, *more)
        for more in (("optimizer=sgd",), ("optimizer=adam",), ("optimizer=sgd", "averaging=swa"))
    )
    weights = 4 * 427_009
    held = {run: memory.run_bytes(run, (512,), rows) for run in (sgd, adam, averaged)}
    assert 2 * weights <= held[adam] - held[sgd] <= 2 * weights + 100
    assert weights <= held[averaged] - held[sgd] <= weights + 100
    activations = held[sgd] - 5 * weights - 8 * rows
    # the inputs of four layers, and what ReLU and the loss keep: more than the layers' outputs, less than four times
    assert 64 * 4 * (512 + 512 + 256 + 128) <= activations <= 4 * 64 * 4 * (512 + 512 + 256 + 128)
    regular = make_run(*paper, "optimizer=sgd", regularization={"dropout": 0.1, "mixup": 0.2, "input_noise": 0.3})
    drawn = memory.run_bytes(regular, (512,), rows) - held[sgd]
    masks, vectors = 64 * 4 * (512 + 256 + 128), 64 * 4 * 512
    assert masks + 2 * vectors <= drawn <= 3 * masks + 5 * vectors
