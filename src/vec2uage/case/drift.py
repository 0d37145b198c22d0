"""Whether the faces of a case are like those that its model was judged on."""

from collections.abc import Iterable
from dataclasses import dataclass

from vec2uage.case.records import FileResult
from vec2uage.evaluation.reference import Reference


@dataclass(frozen=True)
class Drift:
    """How far a case's faces are from the training faces, beside those that the model was judged on."""

    faces: int
    """With a known distance."""
    far: int
    """Of these, those further away than nearly all faces that the model was judged on."""
    expected_share: float
    """What share would be far if the case were like these."""
    median_rank: float
    """The share of the judged faces that are nearer than half of the case's; 0.5 is expected."""
    tested: int
    """Files in the test of exchangeability: the first face of each, the same content once."""
    evidence: float
    """The highest value of the test's martingale: it reaches c with a probability of 1 / c at most where the case's
    faces and those judged come from the same source in any order (Ville 1939)."""

    @property
    def share_far(self) -> float:
        """The share of the faces that are far; 0 of none."""
        return self.far / self.faces if self.faces else 0.0

    def words(self) -> tuple[str, ...]:
        """Return what people should know, a sentence each."""
        raise NotImplementedError


def judge(results: Iterable[FileResult], reference: Reference) -> Drift:
    """Compare the faces of a case, in the order of its results, with those that the model was judged on."""
    raise NotImplementedError
