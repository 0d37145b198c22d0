"""How much memory a run needs while it trains, counted on a network of its own before the stack is built."""

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from vec2uage.training import models
from vec2uage.training.run_settings import RunSettings, per_run_options


@lru_cache(maxsize=64)
def run_bytes(settings: RunSettings, shape: tuple[int, ...], rows: int) -> int:
    """Return the bytes that one run of a stack needs: weights, what the optimiser keeps, activations, data order.

    `shape` is that of one face as the network takes it.

    Activations are also what regularisation makes of a batch. Weights count five times: themselves, their gradients,
    the best of the run so far, and two tensors of their size that pass by in an update. What an averaging draws members
    from counts twice: as it is, and as it was in the best epoch. The members themselves do not count: they are made of
    one run at a time, and not on a GPU.
    """
    head = settings.head
    module = models.build(settings.model, shape[0], head.outputs, settings.seed, head.tied_outputs)
    forward, params, buffers = models.stack([module], head.outputs, settings.trainer.precision)
    weights = params | buffers
    own = {tensor.data_ptr() for tensor in weights.values()}
    activations = 0

    def count(tensor: Tensor) -> Tensor:
        nonlocal activations
        if tensor.data_ptr() not in own:
            activations += tensor.nbytes
        return tensor

    batch = min(settings.trainer.batch_size, rows)
    with saved_tensors_hooks(count, lambda tensor: tensor):
        forward(weights, torch.zeros(1, batch, *shape))
    state = settings.optimizer.init(per_run_options([settings.optimizer]), params)
    of_weights = _total(weights)
    # What a torch.optim class keeps is made in its first step; two tensors per weight, as ADAM's, are usual.
    of_optimizer = _total(state) if isinstance(state, dict) else 2 * of_weights
    averaging = settings.averaging.init(per_run_options([settings.averaging]), params)
    of_averaging = _total(averaging) + _total(settings.averaging.posterior(averaging))
    of_batch = settings.regularization.bytes_of_batch(math.prod(shape), forward.hidden_widths, batch)
    return 5 * of_weights + of_optimizer + of_averaging + activations + of_batch + 8 * rows


def _total(tensors: dict[str, Any]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())
