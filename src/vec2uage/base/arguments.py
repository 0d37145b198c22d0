"""Options and paths as one types them in a shell."""

import re
import shlex
from pathlib import Path

# What neither Hydra nor the eye could take for anything but text: no number, truth value or null.
_PLAIN = re.compile(r"(?i)(?!(?:null|true|false|nan|inf)$)(?:[a-z_]|\.{0,2}/)[a-z0-9_./-]*")


def option(key: str, value: object) -> str:
    """Return `key=value` as one types it in a shell, in quotes where Hydra would not read the value as this very text.

    >>> print(option("path", "faces.npz"), option("path", 2024), option("path", "Jänner/a, b"))
    path=faces.npz 'path="2024"' 'path="Jänner/a, b"'
    """
    text = str(value)
    mark = '"' if '"' not in text else "'"  # the shell's are the others
    return shlex.quote(f"{key}={text if _PLAIN.fullmatch(text) else quoted(text, mark)}")


def quoted(text: str, mark: str = "'", keep_interpolations: bool = False) -> str:
    """Return a text between quotation marks, as Hydra reads it literally, or with what its `${...}` stand for."""
    if not keep_interpolations:  # OmegaConf reads quoted text, too, and takes a backslash for itself before ${
        text = re.sub(r"(\\*)\$\{", lambda m: m[1] * 2 + r"\${", text)
    # in quotes, Hydra takes a backslash for itself only where a quote follows
    return mark + re.sub(rf"(\\*)({mark}|\Z)", lambda m: m[1] * 2 + f"\\{m[2]}" * bool(m[2]), text) + mark


def shown(path: Path) -> Path:
    """Return a path as one would type it: below the working directory, without that."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
