"""The set whose faces are augmented: what its folder says is believed, but not run."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from vec2uage.augmentation.source_faces import settings_of
from vec2uage.base.errors import UserError
from vec2uage.base.manifest import describe, write_manifest
from vec2uage.data.prepared import DESCRIPTION


@dataclass(frozen=True)
class Execution:
    store: str = "store.sqlite"
    workers: int = 1
    device: str = "cpu"


@pytest.mark.parametrize("where", ["detector", "embedder", "source"])
def test_no_module_is_imported_because_a_set_names_it(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "lurking.py").write_text("raise AssertionError('this was run')")
    options = {where: {"sources": [{"_target_": "lurking.Detector"}]}}
    about = {"fingerprint": "f", "parts": {}, "leakage": {}}
    write_manifest(tmp_path / DESCRIPTION, describe(tmp_path, [], about=about, inputs={}, options=options))
    with pytest.raises(UserError, match=r"dataset\.json names the class lurking\.Detector.*trust_code=true"):
        settings_of(tmp_path, Execution(), trust_code=False)
    assert "lurking" not in sys.modules
