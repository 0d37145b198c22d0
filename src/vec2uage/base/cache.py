"""Where files are kept that take long to make or to download, and can be made again at any time."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder VEC2UAGE_CACHE, by default ~/.cache/vec2uage; it may be deleted at any time."""
    return Path(os.environ.get("VEC2UAGE_CACHE") or "~/.cache/vec2uage").expanduser()
