"""Whether runs can be one stack: proved by a trial step, alone and stacked, before they are trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from vec2uage.base import seeds
from vec2uage.base.cores import cores, threads
from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.training import models
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.precision import Precision, products
from vec2uage.training.run_settings import RunSettings


@dataclass(frozen=True)
class StackCheck:
    """What a trial step found out: whether a network gives the same bits alone and stacked, and on any threads.

    `is_stochastic` tells that it draws random numbers, `one_thread` that its bits depend on the number of threads,
    `reason` why it cannot be stacked.
    """

    stackable: bool
    is_stochastic: bool = False
    one_thread: bool = False
    reason: str = ""


def check_stackable(settings: RunSettings, dimension: int, rows: int, device: torch.device) -> StackCheck:
    """Try a forward and backward pass of the run's network alone and stacked, and compare every bit.

    Some shapes (narrow layers, grouped convolutions) make the matrix library pick other kernels for stacks or for more
    threads, and a module that draws random numbers (dropout) has one generator for all. Such runs are trained one by
    one, or on one thread, so that their numbers never depend on the plan.
    """
    batch = min(settings.trainer.batch_size, rows)
    sizes = tuple(sorted({batch, rows % batch or batch}))
    head, precision = settings.head, settings.trainer.precision
    return _check_stackable(settings.model, head.outputs, head.tied_outputs, precision, dimension, sizes, device)


@lru_cache(maxsize=64)
def _check_stackable(
    model: Component,
    outputs: int,
    tied_outputs: bool,
    precision: Precision,
    dimension: int,
    batches: tuple[int, ...],
    device: torch.device,
) -> StackCheck:
    modules = [models.build(model, dimension, outputs, seed, tied_outputs).to(device) for seed in range(3)]
    generator = torch.Generator().manual_seed(0)
    reason, one_thread = "", False
    for batch in batches:
        x = torch.randn(len(modules), batch, dimension, generator=generator).to(device)

        def gradients(first: int, last: int, on_threads: int = 1, seed: int = 0, x: Tensor = x) -> Tensors:
            with threads(on_threads), seeds.global_torch_rng(seed, "stack_check", device=device):
                return _gradients(modules[first:last], x[first:last], outputs, precision)

        alone = [gradients(k, k + 1) for k in range(len(modules))]
        on_cpu = device.type == "cpu"
        one_thread |= on_cpu and not _equal(alone[0], gradients(0, 1, on_threads=cores()), 0)
        if not _equal(alone[0], gradients(0, 1, seed=1), 0):
            why = "the model draws random numbers, or changes with every call"
            return StackCheck(False, is_stochastic=True, one_thread=one_thread, reason=why)
        try:
            stacked = gradients(0, len(modules))
        except RuntimeError as error:
            why = f"torch.func cannot stack the model ({str(error).splitlines()[0]})"
            return StackCheck(False, one_thread=one_thread, reason=why)
        if on_cpu:
            if not all(_equal(own, stacked, k) for k, own in enumerate(alone)):
                reason = "stacked, the model's results would differ in the last bits"
            threaded = gradients(0, len(modules), on_threads=cores())
            one_thread |= any(not torch.equal(gradient, stacked[name]) for name, gradient in threaded.items())
    return StackCheck(not reason, one_thread=one_thread, reason=reason)


def _gradients(modules: Sequence[torch.nn.Module], x: Tensor, outputs: int, precision: Precision) -> Tensors:
    forward, params, buffers = models.stack(modules, outputs, precision)
    with torch.no_grad(), products(precision):
        raw, backward = forward.backward(params, {name: b.clone() for name, b in buffers.items()}, x)
        if raw.shape != (expected := (*x.shape[:2], outputs)):
            name = type(modules[0]).__name__
            raise UserError(
                f"model: {name} gives {tuple(raw.shape)} for a stack, not [runs, faces, outputs], {expected}"
            )
        found = {"outputs": raw}
        for name, gradient in backward((raw - 9.0) * (2 / x.shape[1])):
            found[name] = gradient.dense()
            found[f"{name} after a step"] = stepped = params[name].detach().clone()
            gradient.add_to(stepped)
    return found


def _equal(alone: Tensors, stacked: Tensors, position: int) -> bool:
    return all(torch.equal(tensor[0], stacked[name][position]) for name, tensor in alone.items())
