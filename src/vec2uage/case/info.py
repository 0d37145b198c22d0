"""What the pages and exports of a case tell of its source, of the model that was asked, and of how to ask it again."""

from dataclasses import dataclass

from vec2uage.calibration.recall import Threshold
from vec2uage.case.drift import Drift
from vec2uage.evaluation.statement import Statement


@dataclass(frozen=True)
class CaseInfo:
    """What is known of a case beside its files; no time, and no absolute path of what is written."""

    source: str
    """Where its files come from, for people; raw, as names are."""
    model: str
    """The checkpoint, as it was typed."""
    model_digest: str
    """Of the model and its calibration."""
    model_encoder: str
    """What made the vectors that the model has learnt from."""
    vectors_encoder: str
    """What makes those of the case."""
    boundary: float
    """The line between minors and adults on the scale of its ages (`predictions.minors.boundary`)."""
    threshold: Threshold | None
    """At and above which faces are flagged as minors; None where the model comes with none."""
    calibrated_by: str | None
    """What people should know of its calibration; None where there is none."""
    statement: Statement | None
    """What the model was validated on; None where it has no statement."""
    drift: Drift | None
    """How the faces compare with those the model knows; None where no reference is known, or no face was found."""
    line: str
    """The command, as one could type it again."""
    code: str
    """`base.provenance.code_fingerprint` of the version that was run."""
