"""A digest of what a JSON file says, kept in the file itself: damage is told when it is read.

It finds what happens to files by accident, not what somebody does to them who can write another digest.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from vec2uage.base.atomic import json_text

KEY = "digest"


def with_digest(content: Mapping[str, Any], also: bytes = b"") -> dict[str, Any]:
    """Return `content` with a digest of itself, and of `also`, under the key `digest`."""
    plain = json.loads(json_text(content))  # as it will be read: texts for keys, null for NaN
    return {**plain, KEY: _digest(plain, also)}


def without_digest(content: Mapping[str, Any], also: bytes = b"") -> dict[str, Any]:
    """Return what `with_digest` was given; ValueError where the digest is that of something else.

    Files of earlier versions have no digest and are taken as they are.
    """
    plain = dict(content)
    digest = plain.pop(KEY, None)
    if digest is not None and digest != _digest(plain, also):
        raise ValueError("it is not as it was written: its digest is of something else")
    return plain


def _digest(plain: Mapping[str, Any], also: bytes) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode() + also).hexdigest()[:16]
