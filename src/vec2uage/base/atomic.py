"""Files that appear whole or not at all, however the process ends, and complete only when the disk has them."""

import errno
import glob
import json
import math
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vec2uage.base.access import file_mode, make_folder


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` if the block succeeds.

    The temporary file has the suffix of `path` (libraries choose formats by suffix), exists and is empty on
    entry, and is removed if the block raises; missing parent folders are made. Its mode is that of `base.access`. An
    OSError about it, such as a full disk, names `path`.
    """
    target = Path(path)
    temporary = _beside(target)
    try:
        with name_in_errors(target, temporary):
            yield temporary
            temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def name_in_errors(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let an OSError of the block name `path` where it names no file, or the `temporary` one that stands for it."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(temporary)):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def remove_unfinished(path: Path | str) -> None:
    """Remove what killed processes left of their work on `path` (see `replacing`); nobody may be writing to it."""
    target = Path(path)
    unfinished = re.compile(rf"\.{re.escape(target.stem)}\.[a-z0-9_]{{8}}{re.escape(target.suffix)}")
    for beside in list(target.parent.glob(f".{glob.escape(target.stem)}.*")):
        if unfinished.fullmatch(beside.name):
            beside.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Replace the file `path` by `text` (UTF-8)."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_last(path: Path, text: str, files: Iterable[str]) -> None:
    """Replace the file `path`, which says that `files` (paths below its folder) are complete, by `text` (UTF-8).

    All of them are on the disk before, and it is when this returns, so that what is complete outlives a power cut. Only
    such files wait for the disk (about 3 ms each on an SSD).
    """
    written = [path.parent / name for name in files]
    for each in dict.fromkeys([*written, *(file.parent for file in written)]):
        _sync(each)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        _sync(temporary)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Wait until a file's content, or what names a folder holds, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that does not know this for folders
            raise
    finally:
        os.close(descriptor)


def write_json(path: Path | str, obj: Any) -> None:
    """Replace the file `path` by `obj` as JSON (see `json_text`)."""
    write_text(path, json_text(obj))


def json_text(obj: Any) -> str:
    """Return `obj` as indented JSON; NaN and infinities, which JSON lacks, become null.

    JSON lacks bytes of paths that are no UTF-8, too: they become text, such as `\\udce4`.
    """
    text = json.dumps(_finite(obj), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return re.sub("[\ud800-\udfff]", lambda lone: f"\\\\u{ord(lone[0]):x}", text)


def _finite(obj: Any) -> Any:
    if isinstance(obj, dict):
        return {key: _finite(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [_finite(value) for value in obj]
    if isinstance(obj, float) and not math.isfinite(obj):
        return None
    return obj


def _beside(target: Path) -> Path:
    """Make an empty file with a name of its own, which `remove_unfinished` knows.

    As few calls of the system as can be: where a file system is slow, each takes as long as drawing half a face.
    """
    temporary = target.with_name(f".{target.stem}.{secrets.token_hex(4)}{target.suffix}")
    with name_in_errors(target, temporary):
        try:
            temporary.touch(file_mode(), exist_ok=False)
        except FileNotFoundError:
            make_folder(target.parent)
            temporary.touch(file_mode(), exist_ok=False)
    return temporary
