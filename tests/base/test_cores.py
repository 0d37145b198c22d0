"""How many cores there are to use."""

import os

import pytest

from vec2uage.base.cores import cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be held to cores here")
def test_no_more_cores_are_used_than_the_process_is_held_to() -> None:
    held = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(held)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, held)
    assert 1 <= cores() <= len(held)
