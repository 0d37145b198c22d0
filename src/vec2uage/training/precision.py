"""In which precision matrix products are computed: torch's switches, set around our computation only."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

from vec2uage.base.errors import UserError

Precision = Literal["float32", "tf32", "bf16"]

# Of products of float32 tensors. Weights, sums and updates are float32 in all of them.
_SWITCHES = {
    "float32": {"mkldnn": "ieee", "cuda": "ieee"},
    "tf32": {"mkldnn": "ieee", "cuda": "tf32"},
    "bf16": {"mkldnn": "bf16", "cuda": "ieee"},  # CUDA knows no such products: `models.stack` casts there
}


def check(precision: Precision, device: torch.device) -> None:
    """Raise UserError where a device does not have products of this precision, rather than compute others."""
    if precision == "tf32" and device.type == "cpu":
        raise UserError("trainer.precision = tf32: a processor has no TF32 products; set float32 or bf16")
    if precision == "bf16" and device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise UserError("trainer.precision = bf16: this processor has no bfloat16 products; set float32")


class _Switch:
    """Torch's switches are the whole process's: threads that want another position wait until nobody needs this one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._users = 0
        self._precision: Precision = "float32"
        self._before: dict[str, str] = {}

    def enter(self, precision: Precision) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._users == 0 or self._precision == precision)
            self._users += 1
            if self._users == 1:
                self._precision = precision
                self._before = {backend: _matmul(backend).fp32_precision for backend in _SWITCHES[precision]}
                _set(_SWITCHES[precision])

    def leave(self) -> None:
        with self._changed:
            self._users -= 1
            if self._users == 0:
                _set(self._before)
                self._changed.notify_all()


def _matmul(backend: str) -> Any:
    return getattr(torch.backends, backend).matmul


def _set(positions: dict[str, str]) -> None:
    for backend, position in positions.items():
        _matmul(backend).fp32_precision = position


_switch = _Switch()


@contextmanager
def products(precision: Precision) -> Iterator[None]:
    """Compute the matrix products of the block in this precision."""
    _switch.enter(precision)
    try:
        yield
    finally:
        _switch.leave()
