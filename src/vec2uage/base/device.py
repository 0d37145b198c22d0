"""Which device a name in the configuration stands for."""

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator

from vec2uage.base.errors import UserError

if TYPE_CHECKING:
    import torch


def _known(name: object) -> str:
    if not isinstance(name, str) or not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError("should be auto, cpu, cuda, or one of several as in cuda:1")
    return name


DeviceName = Annotated[str, BeforeValidator(_known)]


def torch_device(name: str, option: str = "device") -> "torch.device":
    """Return the device that `cpu`, `cuda`, `cuda:<number>` or `auto` (the first GPU, else the processor) stands for.

    Raises UserError, which names the `option`, where there is no such device.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        found = f"{count}, from cuda:0 on" if count else "no CUDA device here"
        raise UserError(f"{option} = {name}: no such CUDA device; torch finds {found}; set {option}=cpu or auto")
    return device
