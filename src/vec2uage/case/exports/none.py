"""No export."""

from pathlib import Path

from vec2uage.case.exports.base import Export
from vec2uage.case.info import CaseInfo
from vec2uage.case.records import Results
from vec2uage.case.sources.base import CaseSource
from vec2uage.config.settings import settings


@settings
class NoExport(Export):
    """Tables and the page alone."""

    def check(self, source: CaseSource) -> None:
        pass

    def write(self, folder: Path, results: Results, info: CaseInfo) -> list[Path]:
        return []
