"""What all exports have in common."""

from abc import ABC, abstractmethod
from pathlib import Path

from vec2uage.case.info import CaseInfo
from vec2uage.case.records import Results
from vec2uage.case.sources.base import CaseSource
from vec2uage.config.settings import settings


@settings
class Export(ABC):
    """Results of a case in a form that another program takes."""

    @abstractmethod
    def check(self, source: CaseSource) -> None:
        """Raise UserError, before any work starts, where the results of this source cannot be exported so."""

    @abstractmethod
    def write(self, folder: Path, results: Results, info: CaseInfo) -> list[Path]:
        """Write the export's files into the folder of the results and return their paths."""
