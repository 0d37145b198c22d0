"""The validation statement of a model: what it was judged on, how far off it was, and where nothing is known of it.

It is kept as JSON beside the model, with the model's digest, so that whoever predicts with a model can say what its
numbers are worth, and refuse one of which nobody knows. `statement_page` makes it a page.
"""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, PositiveInt, TypeAdapter, ValidationError

from vec2uage.base.atomic import write_json
from vec2uage.base.digest import KEY, with_digest, without_digest
from vec2uage.base.errors import UserError
from vec2uage.calibration.recall import Flagged
from vec2uage.config.settings import settings
from vec2uage.evaluation.breakdown import Group
from vec2uage.evaluation.ensemble import common_folder
from vec2uage.predictions.operating import OperatingTable

log = logging.getLogger(__name__)

_AGAIN = "evaluate the model with statement=true"
_SUFFIX = ".statement.json"


@settings
class Data:
    """The faces that a model was judged on."""

    described: str
    """The file or folder, as it was typed."""
    part: str
    fingerprint: str
    """`VectorSet.fingerprint`."""
    encoder: str
    """What made their vectors."""
    faces: PositiveInt
    persons: PositiveInt
    """As many as faces where no subject is known."""
    ages: tuple[float, float]
    """The lowest and the highest, in years."""
    boundary: FiniteFloat
    """The line between minors and adults on the scale of these ages (`predictions.minors.boundary`)."""
    maybe_learnt: Annotated[int, Field(ge=0)]
    """How many of them the model may have been trained on."""

    @property
    def rows(self) -> str:
        """Which of the data they are, for people."""
        return "all faces" if self.part == "all" else f"the part {self.part}"


@settings
class Statement:
    """What is known of a model; shares lie between 0 and 1, errors are in years."""

    model: str
    """`Calibrated.digest`."""
    files: dict[str, str]
    """The SHA-256 of each file of the model, by its name."""
    traits: dict[str, str]
    """What kind of model it is, by option."""
    encoder: str
    """What made the vectors that it was trained on."""
    data: Data
    scores: dict[str, float | None]
    """The registered metrics (`predictions.metrics`) by name; None for what is no number."""
    groups: tuple[Group, ...]
    """The errors of each whole age, gender and source."""
    operating: OperatingTable
    """How often each age is taken for the other side of 18 and of other thresholds."""
    calibration: dict[str, Any] | None
    """What evaluation.json tells of it (`SavedCalibration.about`); None where there is none."""
    calibrated_by: str
    """The same for people; "" where there is none."""
    flagged: Flagged | None
    """How many of the faces are flagged at the model's threshold; None where it has none."""
    measures: dict[str, tuple[float, float, float]] | None
    """What `quality` measured of the faces: 1st, 50th and 99th percentile by name; None where it is not known."""
    reference: str | None
    """The SHA-256 of the file of the training faces' `Reference`; None where there is none."""
    limits: tuple[str, ...]
    """Of what nothing, or little, is known: a sentence each."""
    code: str
    """`code_fingerprint` of the version that judged it."""
    provenance: dict[str, Any]
    command: str
    """Which command judged it."""

    @property
    def per_age(self) -> tuple[Group, ...]:
        """The errors of each whole age, youngest first."""
        return tuple(group for group in self.groups if group.column == "age")


def find(paths: Sequence[Path]) -> Path:
    """Return where the statement of the model lies, or would, that is read from some files.

    Beside the one file of a model, and for an ensemble in the folder that its files have in common.
    """
    return paths[0].with_suffix(_SUFFIX) if len(paths) == 1 else common_folder(paths) / _SUFFIX[1:]


def write(path: Path, statement: Statement) -> None:
    """Write a statement as JSON, with a digest of what it says."""
    write_json(path, with_digest(_SCHEMA.dump_python(statement, mode="json")))


def read(path: Path, model: str) -> Statement:
    """Read what `write` wrote of the model with this digest.

    Raises UserError where there is none, it is damaged, or it was written of another model.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"), object_hook=_with_nan)
        if KEY not in plain:
            raise ValueError("it has no digest")
        statement: Statement = _SCHEMA.validate_python(without_digest(plain))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file, so that nothing is known of how far the model is off: {_AGAIN}"
        ) from None
    except OSError as error:
        raise UserError(f"{path}: unreadable ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))[:100]
        raise UserError(
            f"{path}: damaged, or of another version of vec2uage ({where}: {first['msg']}): {_AGAIN}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged ({error}): {_AGAIN}") from None
    if statement.model != model:
        raise UserError(f"{path}: speaks of another model, or of this one with another calibration: {_AGAIN}")
    return statement


def open_statement(paths: Sequence[Path], model: str, required: bool) -> Statement | None:
    """Return the statement of the model with the digest `model` that is read from some files.

    Raises UserError where it cannot be read (see `read`); unless it is `required`, a warning does.
    """
    try:
        return read(find(paths), model)
    except UserError as error:
        if required:
            raise UserError(f"{error}, or predict without a statement (statement=optional)") from None
        log.warning("%s", error)
        return None


def _with_nan(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an interval with the NaN that JSON has no number for, and any other object as it is."""
    is_interval = found.keys() == {"estimate", "low", "high"}
    return {name: math.nan if value is None else value for name, value in found.items()} if is_interval else found


_SCHEMA = TypeAdapter(Statement)
