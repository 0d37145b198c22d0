"""Log records as lines that show foreign text safely, and the file that keeps them; conf/hydra names both."""

import io
import logging
import sys
from pathlib import Path
from typing import Any

from vec2uage.base.access import open_to_write
from vec2uage.base.foreign_text import sentence, visible


class VisibleFormatter(logging.Formatter):
    """Formats a record as one line of visible text; only a traceback takes more."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        return sentence(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        """Return a traceback."""
        return visible(super().formatException(ei), keep="\n")


class LogFile(logging.FileHandler):
    """A log file for those whom `base.access` names; where a link lies in its place, it is refused."""

    def __init__(self, filename: str) -> None:
        super().__init__(filename, encoding="utf-8")

    def _open(self) -> Any:
        return io.TextIOWrapper(open_to_write(Path(self.baseFilename), "ab"), encoding="utf-8")

    def handleError(self, record: logging.LogRecord) -> None:
        """Leave out a line that a full disk does not hold: what the command writes next says so, in one sentence."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)
