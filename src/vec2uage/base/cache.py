"""Where files are kept that take long to make or to download, and can be made again at any time."""

import os
from pathlib import Path

from vec2uage.base.errors import UserError


def cache_folder() -> Path:
    """Return the folder VEC2UAGE_CACHE, by default ~/.cache/vec2uage; it may be deleted at any time.

    Raises UserError where neither is known: the user of a container often has no home.
    """
    try:
        return Path(os.environ.get("VEC2UAGE_CACHE") or "~/.cache/vec2uage").expanduser()
    except RuntimeError:
        raise UserError(
            "this user has no home folder to keep a cache in: set the variable VEC2UAGE_CACHE to a folder for it"
        ) from None
