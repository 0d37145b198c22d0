"""The outcome of one run, as it stands in `result.json`."""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from vec2uage.base.atomic import json_text
from vec2uage.base.digest import with_digest, without_digest
from vec2uage.base.errors import UserError

LARGEST = 3.4e38  # years: no float32 is further off, and squares of what is cannot be summed

# A run that is "pending" or "running" has not ended, and so has no result.json; a sweep.json may know of it.
Status = Literal["completed", "diverged", "pruned", "failed", "interrupted", "running", "pending"]


class Damaged(UserError):
    """What a run has written is not there as it was written."""


@dataclass(frozen=True, kw_only=True)
class MemberOfStack:
    """A run that a stack of models is made of."""

    path: str  # of its model
    sha256: str  # of that file
    weight: float  # its share of what the stack says


@dataclass(kw_only=True)
class RunResult:
    """What one run did and how well: the manifest of its folder.

    `lr` is the learning rate training began with; `scores` are named `part/metric`, such as `test/mae` (years) and
    `validation/loss` (in the unit of the loss), all over whole sets and with the weights of `best_epoch`; `seconds` is
    the run's wall time; `started` an ISO 8601 time. A number that does not exist (the run failed before) is None, a
    score is left out. A model that is not trained in epochs has no `optimizer` and no `lr`, and 0 `epochs`. A run that
    a search has ended early is "pruned": it has no model, and scores of validation only.
    """

    status: Status
    reason: str | None = None  # why the status is not "completed"
    name: str
    seed: int
    optimizer: str | None  # these three are the choices' names in the config; only networks have an optimizer
    model: str
    dataset: str
    lr: float | None = None
    epochs: int = 0
    best_epoch: int | None = None
    scores: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    parameters: int | None = None
    data_fingerprint: str = ""
    encoder: str = ""
    config_hash: str = ""
    code: str = ""
    command: str = ""
    overrides: list[str] = field(default_factory=list)
    choices: dict[str, str] = field(default_factory=dict)  # of the config groups that the run has a use for, by group
    started: str = ""
    files: dict[str, str] = field(default_factory=dict)  # SHA-256 of what the run has written, by file name
    provenance: dict[str, Any] = field(default_factory=dict)
    members: list[MemberOfStack] = field(default_factory=list)  # of `model=stack`; what `model=end_to_end` begins from

    @property
    def ending(self) -> str:
        """How the run ended, with the reason if there is one: `failed, no such device`."""
        return f"{self.status}, {self.reason}" if self.reason else self.status

    @property
    def unusable(self) -> str:
        """Say what keeps the errors of a completed run from being averaged; "" if nothing does."""
        errors = ("train/mae", "validation/mae", "test/mae")
        wrong = [name for name in errors if not 0 <= self.scores.get(name, math.nan) <= LARGEST]
        return f"completed, but its {' and '.join(wrong)} is no number of years" if wrong else ""

    def to_json(self) -> str:
        """Return the result as JSON text with its digest; NaN and infinities become null."""
        return json_text(with_digest(asdict(self)))

    @staticmethod
    def from_json(text: str) -> "RunResult":
        """Read what `to_json` wrote; keys this version does not know are ignored.

        Raises Damaged if the text is no JSON, a key is missing or of the wrong type, or its digest is of other
        content, and UserError if an earlier version wrote it.
        """
        try:
            result = _SCHEMA.validate_json(text)
            found = without_digest(json.loads(text))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise Damaged(f"no valid result: {where + ': ' if where else ''}{first['msg']}") from None
        except ValueError as error:
            raise Damaged(f"no valid result: {error}") from None
        if "scores" not in found:
            raise UserError("no valid result: an earlier version of vec2uage wrote it, so train this run again")
        return result


_SCHEMA = TypeAdapter(RunResult)
