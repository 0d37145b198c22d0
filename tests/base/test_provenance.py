"""Versions, machine, commit and code behind a result."""

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import vec2uage
from vec2uage.base.provenance import code_fingerprint, git_commit, provenance

PACKAGE = Path(vec2uage.__file__).parent


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_provenance_names_what_a_result_depends_on() -> None:
    found = provenance()
    assert found["numpy"] == np.__version__
    assert found["python"] == platform.python_version()
    assert found["vec2uage"] == vec2uage.__version__
    assert {"torch", "hydra-core", "omegaconf", "git_commit", "platform", "cpu"} <= found.keys()
    assert json.loads(json.dumps(found)) == found


def test_callers_cannot_spoil_each_others_provenance() -> None:
    provenance()["numpy"] = "mine"
    assert provenance()["numpy"] == np.__version__


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_commit_tells_clean_dirty_and_untracked_apart(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    module = package / "__init__.py"
    module.touch()
    assert git_commit(package) is None
    _git(tmp_path, "init", "-q")
    _git(tmp_path, "commit", "-q", "--allow-empty", "-m", "somebody else's project")
    assert git_commit(package) is None, "a wheel installed inside another project's repository"
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-q", "-m", "package")
    _git(tmp_path, "tag", "-a", "v1", "-m", "one")
    head = _git(tmp_path, "rev-parse", "HEAD")
    assert git_commit(package) == head
    module.write_text("changed = True\n")
    assert git_commit(package) == f"{head}-dirty"


def test_code_fingerprint_follows_the_code_alone(tmp_path: Path) -> None:
    def fingerprint() -> str:
        code = "from vec2uage.base.provenance import code_fingerprint; print(code_fingerprint())"
        return subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(tmp_path)},
        ).stdout.strip()

    copy = tmp_path / "vec2uage"
    (copy / "base").mkdir(parents=True)
    for name in ("__init__.py", "base/__init__.py", "base/provenance.py"):
        shutil.copy(PACKAGE / name, copy / name)
    first = fingerprint()
    assert len(first) == 16
    (copy / "notes.txt").write_text("no code")
    assert fingerprint() == first
    (copy / "base" / "new.py").write_text("x = 1\n")
    assert fingerprint() != first


def test_code_fingerprint_is_the_same_within_a_process() -> None:
    assert code_fingerprint() == code_fingerprint()
