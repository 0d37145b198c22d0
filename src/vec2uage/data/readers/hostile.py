"""Checks of what a file says of itself, made before memory is taken for it or its text is understood wrongly."""

import stat
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.base.formatting import size
from vec2uage.base.memory import memory_bytes

LARGE = 100_000_000
"""Bytes that any file may unfold to."""
MOST_FOLDED = 100
"""How many times its own size a larger file may unfold to: vectors of faces can hardly be compressed at all."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def check_size(path: Path, unfolded: int, stored: int) -> None:
    """Raise UserError where `stored` bytes say that they are `unfolded` bytes of data, and those cannot be read."""
    memory = memory_bytes()
    if unfolded > memory:
        raise UserError(f"{path}: says that it holds {size(unfolded)}, but this machine has {size(memory)}")
    if unfolded > max(LARGE, MOST_FOLDED * stored):
        raise UserError(
            f"{path}: says that it holds {size(unfolded)} in {size(stored)}: refused, as vectors of faces "
            f"cannot be compressed {MOST_FOLDED}-fold"
        )


def check_regular(path: Path) -> None:
    """Raise UserError for a pipe and the like, which has lost what was read once; OSError where nothing is there."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # of a folder the system says itself that it is one
        raise UserError(f"{path}: is no regular file, but is read more than once: save it as one")


def check_utf8(path: Path, start: bytes) -> None:
    """Raise UserError where the first bytes of a text are not UTF-8, but what Windows calls Unicode."""
    if start.startswith(_UTF16) or b"\0" in start[:4]:
        raise UserError(f"{path}: written in UTF-16 (its byte order mark or zero bytes say so): save it as UTF-8")
