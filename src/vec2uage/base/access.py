"""Who may read what vec2uage writes: its owner alone, as it is biometric data, or also a group.

All files are opened and all folders made here or by `base.atomic`, whatever the process's umask is. What other
libraries write follows the umask, which `grant` sets.
"""

import errno
import os
from pathlib import Path
from typing import IO, Literal

from vec2uage.base.errors import UserError

Access = Literal["owner", "group"]
_VARIABLE = "VEC2UAGE_ACCESS"  # of the environment, which worker processes and the jobs of a cluster get, too


def grant(access: Access) -> None:
    """Let the owner alone, or also the group, read what this process and those it starts write from now on."""
    os.environ[_VARIABLE] = access
    os.umask(0o027 if access == "group" else 0o077)


def file_mode() -> int:
    """Return the mode of a new file."""
    return 0o640 if _is_of_group() else 0o600


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing; what is there keeps its mode."""
    mode = 0o750 if _is_of_group() else 0o700
    try:
        folder.mkdir(mode=mode, exist_ok=True)
    except FileNotFoundError:
        make_folder(folder.parent)
        folder.mkdir(mode=mode, exist_ok=True)


def open_to_write(path: Path, mode: Literal["ab", "a+b", "xb"]) -> IO[bytes]:
    """Open a file that is written where it lies; UserError where a link lies in its place (see `refuse_link`)."""
    try:
        return open(path, mode, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, file_mode()))
    except OSError as error:
        if error.errno == errno.ELOOP:
            refuse_link(path)
        raise


def refuse_link(path: Path) -> None:
    """Raise UserError where a link lies in the place of a file or folder of a fixed name.

    In a shared folder it may be a stranger's, who wants what it points to overwritten or deleted.
    """
    if path.is_symlink():
        raise UserError(f"{path}: is a link, through which nothing is written: remove it")


def _is_of_group() -> bool:
    return os.environ.get(_VARIABLE) == "group"
