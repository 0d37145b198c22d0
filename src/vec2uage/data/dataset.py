"""The config group `dataset`: where the vectors come from that a run is trained on, or a model is evaluated on."""

import logging
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from vec2uage.config.settings import settings
from vec2uage.data.naming import Pattern
from vec2uage.data.parts import UNDIVIDED, AgeRange, Label, Parts
from vec2uage.data.readers import read, reader_of
from vec2uage.data.vectorset import BadRows, VectorSet

log = logging.getLogger(__name__)


@settings
class Dataset(ABC):
    """What every dataset can do; a new one derives from this and needs `read` alone."""

    is_divided: ClassVar[bool] = False
    """Whether it has parts already, so that nothing has to divide it."""

    label: Label = "exact"

    def age_range(self) -> AgeRange | None:
        """Return the first and last whole age of a set that is divided already, None of another."""
        return None

    @abstractmethod
    def read(self) -> VectorSet:
        """Return all rows, of every age, before any option is applied but what concerns bad rows."""

    def parts(self) -> Parts:
        """Return all rows in their parts: in one, as long as they are not divided."""
        vs = self.read()
        ages = "without ages" if vs.ages is None else f"ages {vs.ages.min():g}-{vs.ages.max():g}"
        log.info("%s rows read, %s, encoder %s", f"{len(vs):,}", ages, vs.encoder)
        return {UNDIVIDED: vs}


@settings
class VectorFile(Dataset):
    """Vectors from a file of any format in `vec2uage.data.readers`."""

    path: str
    encoder: str | None = None
    """Names the encoder of a file that does not say which one made its vectors."""
    bad_rows: BadRows = "refuse"
    """What happens to rows that cannot be used (see `vectorset.make_vector_set`)."""
    pattern: Pattern | None = None
    """How the names in JSON tell ages (see `naming.naming`); None: it is found out."""

    def check_files(self) -> None:
        """Raise UserError when there is no such file, or none that can be read."""
        reader_of(Path(self.path))

    def read(self) -> VectorSet:
        """Read the file; UserError when it is missing, damaged or made by another encoder than stated."""
        return read(Path(self.path), encoder=self.encoder, bad_rows=self.bad_rows, pattern=self.pattern)
