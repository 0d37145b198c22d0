"""What a captured step needs, as far as a machine without a GPU can tell."""

import pytest
import torch
from torch import library

from vec2uage.training.cuda_graph import graphed_step
from vec2uage.training.trainer import first_weights, train_step

CPU = torch.device("cpu")
KINDS = {
    "sgd": ("optimizer=sgd",),
    "momentum": ("optimizer=sgd", "optimizer.momentum=0.9", "optimizer.weight_decay=0.1"),
    "adam": ("optimizer=adam",),
    "adagrad": ("optimizer=adagrad",),
    "swa": ("optimizer=swa",),
    "foreign model": ("model._target_=test_models.Foreign", "~model.hidden", "optimizer=adam"),
}
INDEX = torch.tensor([[3, 1, 4, 0, 5], [2, 6, 5, 3, 1]])


@pytest.fixture(autouse=True)
def fused_kernels_without_numbers():
    """Torch has none: they check that all tensors lie on one device, and are what the kernels for GPUs read."""

    def kernel(*lists, lr, **options):
        tensors = [tensor for tensors in lists for tensor in tensors] + [lr]
        assert {(tensor.device.type, tensor.dtype) for tensor in tensors} == {("meta", torch.float32)}
        assert all(isinstance(value, bool | float) for value in options.values())

    with library._scoped_library("aten", "IMPL") as kernels:
        for name in ("_fused_sgd_", "_fused_adam_", "_fused_adagrad_"):
            kernels.impl(f"{name}.tensor_lr", kernel, "Meta")
        yield


def two_runs(make_run, make_data, *overrides):
    runs = [make_run(*overrides, seed=seed) for seed in (1, 2)]
    return first_weights(runs, make_data(), CPU).network


def elsewhere(network, inputs, index, lr):
    """The same as tensors of a shape but no numbers: asking one for a number is an error, as is mixing devices."""
    for name in ("params", "buffers", "state"):
        setattr(network, name, {key: tensor.to("meta") for key, tensor in getattr(network, name).items()})
    return network, inputs.to(torch.device("meta")), index.to("meta"), lr.to("meta")


@pytest.mark.parametrize(("kind", "loss"), [*((kind, "mse") for kind in KINDS), ("sgd", "l1"), ("sgd", "huber")])
def test_a_step_never_waits_for_the_device_and_never_mixes_devices(kind, loss, make_run, make_data):
    network = two_runs(make_run, make_data, *KINDS[kind], f"loss={loss}")
    step = elsewhere(network, make_data().train, INDEX, network.options["lr"])
    sums = train_step(*step)
    assert (sums.shape, sums.dtype, sums.device.type) == ((2, 2), torch.float64, "meta")


def test_an_optimizer_of_torch_would_wait_for_the_device_and_is_not_captured(make_run, make_data):
    network = two_runs(
        make_run,
        make_data,
        "optimizer=sgd",
        "optimizer._target_=torch.optim.RMSprop",
        "~optimizer.momentum",
        "~optimizer.weight_decay",
    )
    assert not network.cuda_graph_safe
    optimizers, network.state = network.state, {}
    step = elsewhere(network, make_data().train, INDEX, network.options["lr"])
    network.state = optimizers
    with pytest.raises(RuntimeError, match="meta"):
        train_step(*step)


def test_only_what_says_so_is_captured(make_run, make_data):
    """A replay would repeat for ever what a class of the user's once decided in Python."""
    assert two_runs(make_run, make_data, *KINDS["foreign model"]).cuda_graph_safe
    for overrides in (
        ("model._target_=test_models.Normed", "~model.hidden", "optimizer=sgd"),
        ("optimizer=sgd", "loss._target_=test_losses.Quartic"),
        ("optimizer=sgd", "head._target_=test_heads.Thirds", "~head.loss"),
        ("optimizer=sgd", "regularization.label_noise=0.1"),
    ):
        assert not two_runs(make_run, make_data, *overrides).cuda_graph_safe


def test_on_a_cpu_every_step_is_taken_at_once(make_run, make_data):
    first, second = (two_runs(make_run, make_data, "optimizer=adam") for _ in range(2))
    for _ in range(3):
        taken = graphed_step(train_step, first, make_data().train, INDEX, first.options["lr"])
        assert torch.equal(taken, train_step(second, make_data().train, INDEX, second.options["lr"]))
    assert not first.captured_steps
    assert all(torch.equal(p, second.params[name]) for name, p in first.params.items())
