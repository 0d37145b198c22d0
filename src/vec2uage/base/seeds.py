"""Random generators that depend on a seed and on what they are for, and on nothing else."""

import hashlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_GLOBAL_RNG = threading.RLock()


def derive(seed: int, *names: str) -> int:
    """Return the 63-bit seed (0 <= s < 2**63) for the purpose `names` under the user's `seed`.

    Every purpose gets its own stream, so that adding a draw in one place changes nothing in another.
    """
    text = "\x1f".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *names: str) -> np.random.Generator:
    """Return NumPy's generator for the purpose `names` under `seed`."""
    return np.random.default_rng(derive(seed, *names))


def torch_generator(seed: int, *names: str) -> "torch.Generator":
    """Return a torch generator on the CPU for the purpose `names` under `seed`."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *names))


@contextmanager
def global_torch_rng(seed: int, *names: str, device: "torch.device | None" = None) -> Iterator[None]:
    """Seed torch's process-wide CPU generator, and that of a CUDA `device`, for the block and restore them after it.

    For library code that can draw from nowhere else, such as the initialisation of `nn.Linear`. A
    process-wide lock keeps the blocks of different threads apart.
    """
    import torch

    of_device = [device] if device is not None and device.type == "cuda" else []
    with _GLOBAL_RNG, torch.random.fork_rng(devices=of_device):
        # not torch.manual_seed, which would also reseed (and so not restore) the other accelerators
        torch.default_generator.manual_seed(derive(seed, *names))
        for each in of_device:
            torch.cuda.default_generators[each.index].manual_seed(derive(seed, *names))
        yield


@contextmanager
def global_rng(seed: int, *names: str) -> Iterator[None]:
    """Seed the process-wide generators of `random` and NumPy for the block and restore their states after it.

    For library code that can draw from nowhere else, such as Augmentor's operations. A process-wide lock keeps the
    blocks of different threads apart.
    """
    derived = derive(seed, *names)
    with _GLOBAL_RNG:
        before, numpy_before = random.getstate(), np.random.get_state()  # noqa: NPY002 - to be restored
        random.seed(derived)
        np.random.seed(derived % 2**32)  # noqa: NPY002 - what the library draws from
        try:
            yield
        finally:
            random.setstate(before)
            np.random.set_state(numpy_before)  # noqa: NPY002
