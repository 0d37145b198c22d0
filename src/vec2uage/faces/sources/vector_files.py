"""Faces that are vectors already."""

import logging
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data.naming import Pattern
from vec2uage.data.readers import read
from vec2uage.data.vectorset import BadRows, VectorSet, merge, needed_ages
from vec2uage.faces.sources.base import NonEmpty, SingleSource

log = logging.getLogger(__name__)


@settings
class VectorFiles(SingleSource):
    """One or several files of vectors, of any format in `vec2uage.data.readers`."""

    path: NonEmpty | Annotated[tuple[NonEmpty, ...], Field(min_length=1)]
    encoder: NonEmpty | None
    """Names the encoder of files that do not say which one made their vectors."""
    bad_rows: BadRows
    """What happens to rows that cannot be used (see `vectorset.make_vector_set`)."""
    pattern: Pattern | None
    """How the names in JSON tell ages (see `naming.naming`); None: it is found out."""

    def read(self) -> VectorSet:
        """Return the rows that pass the filters; the log says how many do not.

        Raises UserError when a file is missing, damaged or made by another encoder, no row is left, or ages are asked
        for of vectors that have none.
        """
        paths = (self.path,) if isinstance(self.path, str) else self.path
        sets = [read(Path(path), self.encoder, self.bad_rows, self.pattern) for path in paths]
        vs = sets[0] if len(sets) == 1 else merge(sets, self.bad_rows)
        if self.ages is not None:
            needed_ages(vs, "source.ages")
        ages = repeat(None, len(vs)) if vs.ages is None else vs.ages.tolist()
        taken = np.array([self.takes(*face) for face in zip(ages, vs.gender.tolist(), strict=True)])
        where = ", ".join(paths)
        if not taken.any():
            raise UserError(f"{where}: none of {len(vs):,} rows is of the ages and genders asked for")
        if not taken.all():
            log.info("%s: %s of %s rows pass the filters", where, f"{taken.sum():,}", f"{len(vs):,}")
            vs = vs.take(taken)
        return vs if self.name is None else replace(vs, source=np.full(len(vs), self.name, dtype=object))
