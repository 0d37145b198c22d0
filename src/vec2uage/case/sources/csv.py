"""Files that a CSV lists."""

from collections.abc import Iterator
from pathlib import Path

from vec2uage.base.errors import UserError
from vec2uage.case.hashes import algorithm_of, with_hashes
from vec2uage.case.records import CaseFile
from vec2uage.case.sources.base import ListedFiles
from vec2uage.config.settings import settings
from vec2uage.data.readers.csv_file import read_rows


@settings
class Csv(ListedFiles):
    """The rows of a table with the column `path` and optionally `md5`, `sha1` and `sha256`; others are not read.

    Heads are taken in any case, and cells parted by commas, semicolons or tabs. Absolute paths stand for themselves. A
    row without a path is a file that cannot be read.
    """

    def read(self) -> Iterator[CaseFile]:
        headers, rows = read_rows(Path(self.path))
        columns = ["path" if header.strip().casefold() == "path" else algorithm_of(header) for header in headers]
        known = [column for column in columns if column]
        if "path" not in known or len(set(known)) < len(known):
            raise UserError(
                f"{self.path}: needs one column path, and at most one of md5, sha1 and sha256 each, but has "
                f"{', '.join(headers) or 'none'}"
            )
        for number, row in rows:
            if len(row) > len(columns):
                raise UserError(f"{self.path}: row {number:,} has {len(row)} cells, but the header {len(columns)}")
            cells = {column: cell for column, cell in zip(columns, row, strict=False) if column}
            path = cells.pop("path", "")
            if not path.strip() or "\0" in path:
                yield CaseFile(path or f"row {number}", self.folder, problem=f"row {number:,} gives no path")
            else:
                yield with_hashes(CaseFile(path, self.folder / path), cells)
