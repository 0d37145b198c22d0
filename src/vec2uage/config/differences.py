"""What two sets of options differ in, in a sentence."""

from collections.abc import Mapping
from typing import Any


def differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> str:
    """Name the options that differ with both values, three at most; "" where none does. Keys are dotted names."""
    changed = [
        f"{prefix}{key}: {before.get(key)!r} there, {now.get(key)!r} now"
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key)
    ]
    return "; ".join(changed[:3]) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")
