"""Where a number comes from: package versions, machine, git commit and the code itself."""

import hashlib
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from vec2uage import __version__

_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = (
    "torch",
    "numpy",
    "hydra-core",
    "omegaconf",
    "pydantic",
    "pyarrow",
    "safetensors",
    "scikit-learn",
    "tensorboard",
)


def provenance() -> dict[str, Any]:
    """Return what a result depends on besides its config and data.

    Keys: `vec2uage`, `python` and the libraries that compute or store results (versions, None where not
    installed), `git_commit` (followed by "-dirty" if tracked files were changed; None outside git),
    `platform` and `cpu`.
    """
    return dict(_provenance())


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def code_fingerprint() -> str:
    """Return 16 hexadecimal digits that change with any of the package's own Python files."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_PACKAGE).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


@cache
def _provenance() -> dict[str, Any]:
    return {
        "vec2uage": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _LIBRARIES},
        "git_commit": git_commit(_PACKAGE),
        "platform": platform.platform(),
        "cpu": _cpu(),
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def git_commit(package: Path) -> str | None:
    """Return the commit that holds the folder `package`, "-dirty" appended if tracked files were changed.

    None where git does not track `package`, also inside somebody else's repository (an installed wheel in a
    project's virtual environment), and where there is no git.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(package), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
