"""On a real GPU: captured steps are the steps themselves, and the numbers are the processor's but for rounding."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from test_cuda_graph import KINDS
from test_models import Foreign

from vec2uage.sweep.plan import devices_of, free_bytes, make_plan, share_gpus
from vec2uage.training import memory, models
from vec2uage.training.checkpoint import restore, snapshot
from vec2uage.training.models import MLP
from vec2uage.training.outcome import Outcome
from vec2uage.training.trainer import first_learning_rates, first_weights, train_epoch, train_stack

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
NARROW = ("tf32", "bf16")
PAPER = ("model.hidden=[512,256,128]", "trainer.batch_size=64")


@pytest.fixture
def train_on(recording):
    """Train runs as one stack on a device, as the engine does: on a GPU in a stream of its own."""

    def go(device, runs, data):
        observer = recording()
        with torch.cuda.stream(torch.cuda.Stream(GPU) if device.type == "cuda" else None):
            train_stack(runs, data.to(device), device, observer)
        return observer

    return go


def runs_of(make_run, kind, *more, count=3):
    return [make_run(*KINDS[kind], *more, seed=seed) for seed in range(count)]


ONE_CYCLE, RANGE_TEST = ("lr_schedule=one_cycle",), ("lr_finder=range_test", "lr_finder.steps=60")


@pytest.mark.parametrize(
    ("kind", "more"), [*((kind, ()) for kind in KINDS), ("sgd", ONE_CYCLE), ("adam", RANGE_TEST), ("swa", RANGE_TEST)]
)
def test_a_gpu_gives_the_numbers_of_the_processor(kind, more, make_run, make_data, train_on):
    runs = runs_of(make_run, kind, *more)
    here, there = (train_on(device, runs, make_data()) for device in (CPU, GPU))
    for run in range(len(runs)):
        assert there.outcomes[run].status == here.outcomes[run].status == "completed"
        assert there.outcomes[run].lr == here.outcomes[run].lr
        assert there.outcomes[run].scores["test/mae"] == pytest.approx(here.outcomes[run].scores["test/mae"], rel=1e-3)
        assert [e.lr for e in there.epochs[run]] == [e.lr for e in here.epochs[run]]


@pytest.mark.parametrize(
    ("kind", "precision"),
    [*((kind, "float32") for kind in KINDS), *((kind, p) for kind in ("sgd", "adam", "foreign model") for p in NARROW)],
)
def test_captured_steps_are_the_steps_themselves(kind, precision, make_run, make_data, train_on, monkeypatch):
    runs = runs_of(make_run, kind, f"trainer.precision={precision}", "lr_schedule=one_cycle")
    captured, again = (train_on(GPU, runs, make_data()) for _ in range(2))
    for model in (MLP, Foreign):
        monkeypatch.setattr(model, "cuda_graph_safe", False)
    taken = train_on(GPU, runs, make_data())
    for run in range(len(runs)):
        assert captured.everything(run) == taken.everything(run)
        assert captured.everything(run) == again.everything(run)


@pytest.mark.parametrize("precision", ["float32", *NARROW])
def test_what_regularisation_draws_on_a_gpu_is_drawn_again(precision, make_run, make_data, train_on):
    drawn = {"mixup": 0.3, "input_noise": 0.2, "label_noise": 0.5, "dropout": 0.25}
    runs = [make_run(*KINDS["sgd"], f"trainer.precision={precision}", seed=s, regularization=drawn) for s in (1, 2)]
    one, again = (train_on(GPU, runs, make_data()) for _ in range(2))
    for run in range(len(runs)):
        assert one.outcomes[run].status == "completed"
        assert one.everything(run) == again.everything(run)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_stacks_side_by_side_in_threads_disturb_nobody(kind, make_run, make_data, train_on):
    groups = [runs_of(make_run, each, *PAPER) for each in (kind, "adagrad", "swa", kind)]
    data = make_data(512, 640)
    alone = [train_on(GPU, runs, data) for runs in groups]
    with ThreadPoolExecutor(len(groups)) as pool:
        together = list(pool.map(lambda runs: train_on(GPU, runs, data), groups))
    for one, other, runs in zip(alone, together, groups, strict=True):
        assert all(one.everything(run) == other.everything(run) for run in range(len(runs)))


# Of gradients, relative errors are larger: some units' inputs are rounded to the other side of zero.
@pytest.mark.parametrize(
    ("precision", "predictions", "gradients"), [("float32", 1e-5, 1e-4), ("tf32", 2e-3, 0.1), ("bf16", 2e-2, 0.2)]
)
def test_products_are_as_exact_as_their_precision(precision, predictions, gradients):
    networks = [MLP(512, (512, 256, 128)).to(GPU) for _ in range(3)]
    x = torch.randn(3, 64, 512, generator=torch.Generator().manual_seed(0)).to(GPU)
    found = {}
    for kind, modules, rows in (
        ("exact", [MLP(512, (512, 256, 128)).double().to(GPU) for _ in networks], x.double()),
        (precision, networks, x),
    ):
        for module, network in zip(modules, networks, strict=True):
            module.load_state_dict(network.state_dict())
        forward, params, _ = models.stack(modules, 1, "float32" if kind == "exact" else precision)
        if kind == "exact":
            predicted = forward._forward(params, rows)
            grads = torch.autograd.grad(predicted.sum(), list(params.values()))
            found[kind] = [predicted.detach(), *grads]
            continue
        with models.products(precision), torch.no_grad():
            predicted, backward = forward.backward(params, {}, rows)
            dense = {name: gradient.dense() for name, gradient in backward(torch.ones_like(predicted))}
            for name, gradient in backward(torch.ones_like(predicted)):
                added = params[name].detach().clone()
                gradient.add_to(added)
                torch.testing.assert_close(added, params[name] + dense[name], rtol=1e-4, atol=1e-4)
        found[precision] = [predicted, *(dense[name] for name in params)]
    for number, (wanted, rounded) in enumerate(zip(found["exact"], found[precision], strict=True)):
        assert rounded.dtype == torch.float32
        assert (rounded - wanted).norm() / wanted.norm() < (gradients if number else predictions)


def test_a_checkpoint_goes_from_the_processor_to_a_gpu_and_back(make_run, make_data, observer):
    runs = runs_of(make_run, "adam")
    weights = []
    for devices in ((CPU, CPU), (CPU, GPU), (GPU, CPU)):
        checkpoints = ()
        for number, device in enumerate(devices):
            outcomes, data = [Outcome() for _ in runs], make_data().to(device)
            with torch.cuda.stream(torch.cuda.Stream(GPU) if device.type == "cuda" else None):
                stack = first_weights(runs, data, device)
                if checkpoints:
                    restore(stack, checkpoints, runs)
                else:
                    first_learning_rates(stack, runs, data, outcomes)
                train_epoch(stack, runs, data, number, observer)
                checkpoints = snapshot(stack, outcomes)
        weights.append({name: tensor.cpu() for name, tensor in stack.network.params.items()})
    for other in weights[1:]:
        for name, tensor in weights[0].items():
            torch.testing.assert_close(other[name], tensor, rtol=1e-3, atol=1e-4)


def test_a_stack_takes_no_more_memory_than_was_planned(make_run, make_data, observer):
    data = make_data(512, 640).to(GPU)
    for kind in ("sgd", "adam"):
        runs = runs_of(make_run, kind, *PAPER, count=20)
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_reserved()
        with torch.cuda.stream(torch.cuda.Stream(GPU)):
            stack = first_weights(runs, data, GPU)
            train_epoch(stack, runs, data, 0, observer)
        torch.cuda.synchronize()
        # what is planned for fills half of the memory
        assert torch.cuda.max_memory_reserved() - before < 2 * 20 * memory.run_bytes(runs[0], (512,), 640)


def test_all_gpus_are_found_and_their_memory_bounds_a_stack(make_run):
    trainer = make_run().trainer
    devices = devices_of(trainer)
    assert [device.type for device in devices] == ["cuda"] * torch.cuda.device_count()
    plan = share_gpus(make_plan(80, trainer, devices), 2, trainer)
    assert plan.room == pytest.approx(free_bytes(devices) / 4, rel=0.1)


def test_a_module_of_the_user_trains_in_every_precision(make_run, make_data, train_on):
    name = f"{Foreign.__module__}.{Foreign.__name__}"
    for precision in NARROW:
        runs = [
            make_run(f"model._target_={name}", "~model.hidden", f"trainer.precision={precision}", seed=s)
            for s in range(2)
        ]
        done = train_on(GPU, runs, make_data())
        assert {outcome.status for outcome in done.outcomes.values()} == {"completed"}
