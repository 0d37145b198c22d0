"""Files that appear whole or not at all, however the process ends."""

import glob
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it takes the place of `path` if the block succeeds.

    The temporary file has the suffix of `path` (libraries choose formats by suffix), exists and is empty on
    entry, and is removed if the block raises; missing parent folders are made.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes private files, the result should not be one
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


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


def write_json(path: Path | str, obj: Any) -> None:
    """Replace the file `path` by `obj` as JSON (see `json_text`)."""
    write_text(path, json_text(obj))


def json_text(obj: Any) -> str:
    """Return `obj` as indented JSON; NaN and infinities, which JSON lacks, become null."""
    return json.dumps(_finite(obj), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(obj: Any) -> Any:
    if isinstance(obj, dict):
        return {key: _finite(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [_finite(value) for value in obj]
    if isinstance(obj, float) and not math.isfinite(obj):
        return None
    return obj


def _umask() -> int:
    # The mask can only be read by setting it; nothing else in the process writes files in between.
    mask = os.umask(0)
    os.umask(mask)
    return mask
