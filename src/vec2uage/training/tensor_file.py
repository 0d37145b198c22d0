"""Tensors and a description of them in one safetensors file, with a digest of both that is checked when it is read."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes

from vec2uage.base.atomic import replacing
from vec2uage.base.digest import with_digest, without_digest
from vec2uage.base.errors import UserError
from vec2uage.training.optimizers.base import Tensors

_KEY = "vec2uage"  # of the file's metadata: one, as safetensors writes several in any order
LARGEST_HEADER = 1 << 23  # bytes; those of the paper's network are about a thousand
_DEEPEST = 16  # levels of a description: options within options


def write(path: Path, tensors: Tensors, description: Mapping[str, Any]) -> None:
    """Write a file to `path`, whole or not at all; equal content makes equal bytes."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(with_digest(description, digest(tensors)))
    with replacing(path) as temporary:
        # save_file would write to a file of its own, which a kill leaves behind and nobody else may read
        temporary.write_bytes(to_bytes(tensors, metadata={_KEY: text}))


def read(path: Traversable) -> tuple[Tensors, dict[str, Any]]:
    """Return what `write` was given: tensors in memory of their own, and the description, empty where there is none.

    Every byte is checked against the digest, at about 0.7 s for a GB; a file of an earlier version has none. Raises
    UserError for a file that is missing, damaged, or no safetensors file.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        data = path.read_bytes()
        if len(data) < 8:
            raise ValueError("it ends within its header")
        length = int.from_bytes(data[:8], "little")
        if length > LARGEST_HEADER:
            raise ValueError(f"it says that its header has {length:,} bytes")
        header = json.loads(data[8 : 8 + length], object_pairs_hook=_once_each)
        description = json.loads(header.get("__metadata__", {}).get(_KEY, "{}"), object_pairs_hook=_once_each)
        if not isinstance(description, dict) or _is_nested(description, _DEEPEST):
            raise ValueError("its description is no mapping, or one too deep")
        tensors = from_bytes(data)
        return tensors, without_digest(description, digest(tensors))
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is no readable safetensors file: {reason[:200]}") from None


def digest(tensors: Tensors) -> bytes:
    """Return the SHA-256 of tensors: names, types, shapes and numbers."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(repr((name, str(tensor.dtype), list(tensor.shape))).encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.digest()


def _once_each(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a JSON object that says one thing twice, of which readers take either."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key[:80]!r} stands twice in it")
        found[key] = value
    return found


def _is_nested(value: Any, levels: int) -> bool:
    """Tell whether a JSON value has more than so many levels."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels == 0 or any(_is_nested(item, levels - 1) for item in items)
