"""Whether runs can be one stack: proved by a trial step, alone and stacked, before they are trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from vec2uage.base.cores import cores, threads
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
    return _check_stackable(settings.model, settings.head.outputs, settings.trainer.precision, dimension, sizes, device)


@lru_cache(maxsize=64)
def _check_stackable(
    model: Component,
    outputs: int,
    precision: Precision,
    dimension: int,
    batches: tuple[int, ...],
    device: torch.device,
) -> StackCheck:
    modules = [models.build(model, dimension, outputs, seed).to(device) for seed in range(3)]
    generator = torch.Generator().manual_seed(0)
    reason, one_thread = "", False
    for batch in batches:
        x = torch.randn(len(modules), batch, dimension, generator=generator).to(device)
        with threads(1):
            alone = [_gradients(modules[k : k + 1], x[k : k + 1], outputs, precision) for k in range(len(modules))]
            again = _gradients(modules[:1], x[:1], outputs, precision)
            if not _equal(alone[0], again, 0):
                return StackCheck(
                    False, is_stochastic=True, reason="the model draws random numbers, or changes with every call"
                )
            try:
                stacked = _gradients(modules, x, outputs, precision)
            except RuntimeError as error:
                return StackCheck(False, reason=f"torch.func cannot stack the model ({str(error).splitlines()[0]})")
        if device.type != "cpu":
            continue
        if not all(_equal(a, stacked, k) for k, a in enumerate(alone)):
            reason = "stacked, the model's results would differ in the last bits"
        with threads(cores()):
            one_thread |= not _equal(alone[0], _gradients(modules[:1], x[:1], outputs, precision), 0)
            one_thread |= any(
                not torch.equal(g, stacked[n]) for n, g in _gradients(modules, x, outputs, precision).items()
            )
    return StackCheck(not reason, one_thread=one_thread, reason=reason)


def _gradients(modules: Sequence[torch.nn.Module], x: Tensor, outputs: int, precision: Precision) -> Tensors:
    forward, params, buffers = models.stack(modules, outputs, precision)
    with torch.no_grad(), products(precision):
        raw, backward = forward.backward(params, {name: b.clone() for name, b in buffers.items()}, x)
        found = {"outputs": raw}
        for name, gradient in backward((raw - 9.0) * (2 / x.shape[1])):
            found[name] = gradient.dense()
            found[f"{name} after a step"] = stepped = params[name].detach().clone()
            gradient.add_to(stepped)
    return found


def _equal(alone: Tensors, stacked: Tensors, position: int) -> bool:
    return all(torch.equal(tensor[0], stacked[name][position]) for name, tensor in alone.items())
