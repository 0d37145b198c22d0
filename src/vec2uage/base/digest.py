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
    return {**content, KEY: _digest(content, also)}


def without_digest(content: Any, also: bytes = b"") -> dict[str, Any]:
    """Return what `with_digest` was given, as JSON has it; ValueError where the digest is that of something else.

    Files of earlier versions have no digest and are taken as they are. What is no JSON object is a ValueError, too.
    """
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    rest = {name: value for name, value in content.items() if name != KEY}
    if KEY in content and content[KEY] != _digest(rest, also):
        raise ValueError("it is not as it was written: its digest is of something else")
    return rest


def _digest(content: Mapping[str, Any], also: bytes) -> str:
    plain = json.loads(json_text(content))  # as it is read: texts for keys, null for NaN
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode() + also).hexdigest()[:16]
