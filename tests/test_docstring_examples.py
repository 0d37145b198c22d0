"""The examples in docstrings hold."""

import doctest
import importlib
from pathlib import Path

import vec2uage

SOURCE = Path(vec2uage.__file__).parent


def test_every_example_gives_what_it_says() -> None:
    with_examples = sorted(path for path in SOURCE.rglob("*.py") if ">>> " in path.read_text())
    names = [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in with_examples]
    results = {name: doctest.testmod(importlib.import_module(name)) for name in names}
    assert sum(result.attempted for result in results.values()) >= len(names) > 0
    assert [name for name, result in results.items() if result.failed] == []
