"""Options and paths as one types them in a shell."""

import re
import shlex
from pathlib import Path


def option(key: str, value: object) -> str:
    """Return `key=value` as one types it in a shell; in quotes where Hydra would give a = or , in it a meaning."""
    text = str(value)
    return shlex.quote(f"{key}={text}" if re.fullmatch(r"[\w./-]+", text) else f"{key}='{text}'")


def shown(path: Path) -> Path:
    """Return a path as one would type it: below the working directory, without that."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
