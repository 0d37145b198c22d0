"""Options and paths are shown as one types them."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from vec2uage.base.arguments import option, shown


@pytest.mark.parametrize("value", ["plain/path-1.npz", "a=b, c", "ü (2)"])
def test_a_shell_and_hydra_read_an_option_as_it_is(value: str) -> None:
    [argument] = shlex.split(option("dataset.path", value))
    assert OverridesParser.create().parse_override(argument).value() == value


def test_paths_below_the_working_directory_are_shown_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a/b") == Path("a/b")
    assert shown(tmp_path.parent) == tmp_path.parent
