"""Whether the faces of a case are like those that its model was judged on."""

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from vec2uage.base.formatting import counted
from vec2uage.base.seeds import numpy_generator
from vec2uage.case.records import FileResult
from vec2uage.evaluation.reference import Reference

_FAR = 0.01  # the share of the judged faces that count as far
_STRONG = 100.0  # what the martingale of a case like the judged faces reaches with a probability of 1%
_AT_ONCE = 1000  # distances that are ranked together


@dataclass(frozen=True)
class Drift:
    """How far a case's faces are from the training faces, beside those that the model was judged on."""

    faces: int
    """With a known distance."""
    far: int
    """Of these, those further away than 99% of the judged faces; where these are fewer than 99, than all of them."""
    expected_share: float
    """What share is far on average, at most, if the case is like the judged faces."""
    median_rank: float
    """The share of the judged faces that are no further away than half of the case's: about 0.5 if the case is like
    them; NaN of no face."""
    judged: int
    """How many judged faces they are compared with."""
    tested: int
    """Files in the test of exchangeability: the first face of each, the same content once."""
    evidence: float
    """The highest value of the test's martingale, which begins at 1 (see `judge`)."""

    @property
    def share_far(self) -> float:
        """The share of the faces that are far; 0 of none."""
        return self.far / self.faces if self.faces else 0.0

    @property
    def is_strong(self) -> bool:
        """Whether a case like the judged faces gives such evidence in one of 100 cases at most."""
        return self.evidence >= _STRONG

    def words(self) -> tuple[str, ...]:
        """Return what people should know, a sentence each."""
        if not self.faces:
            return ("No face of the case can be compared with those that the model was trained on.",)
        far = (
            f"{self.far:,} of {counted(self.faces, 'face')} ({self.share_far:.1%}) are far from the faces that the "
            f"model was trained on; of faces like the {self.judged:,} that it was judged on, {self.expected_share:.1%} "
            "are."
        )
        middle = (
            f"Half of the case's faces are further from them than {self.median_rank:.0%} of the judged ones are; of a "
            "case like these it is about 50%."
        )
        test = f"A test of {counted(self.tested, 'file')}"
        if self.is_strong:
            outcome = (
                f"{test} shows that the case differs from the judged faces (evidence {self.evidence:.3g}; one like "
                f"them gives {_STRONG:g} or more in one of 100 cases at most): errors, intervals and the share of "
                "minors found may be others than those stated. Faces that the model was trained on, another mix of "
                "ages, and many pictures of the same few people show so, too."
            )
        else:
            outcome = (
                f"{test} does not show that the case differs from the judged faces (evidence {self.evidence:.3g}; "
                f"strong from {_STRONG:g} on), which does not prove that it is like them."
            )
        return far, middle, outcome


def judge(results: Iterable[FileResult], reference: Reference) -> Drift:
    """Compare the faces of a case, in whatever order, with those that the model was judged on.

    The test is of exchangeability: whether the distances of the judged faces and then those of the case, one after the
    other, could have come in any order. Each distance's rank among all before it is a bet against that; the bets are
    those of a simple jumper (Vovk, Gammerman and Shafer 2022, algorithm 8.1, by `crepes`). Where they are
    exchangeable, its martingale ever reaches c with a probability of 1 / c at most (Ville 1939). Those of the case come
    in the order of a digest of their content: by name, they may come by person or by age.
    """
    everyone, first_faces = array("d"), dict[bytes, float]()
    for result in results:
        distances = [face.distance for face in result.faces if face.distance is not None]
        everyone.extend(distances)
        content = result.file.name if result.hashes is None else result.hashes.sha256
        if distances:
            digest = hashlib.sha256(content.encode("utf-8", "surrogatepass")).digest()[:16]
            first_faces.setdefault(digest, distances[0])
    found, expected = np.array(everyone), reference.expected
    far_from = max(int((len(expected) + 1) * _FAR), 1)  # so many of the judged faces are as far
    return Drift(
        faces=len(found),
        far=int((found > expected[-far_from]).sum()),
        expected_share=far_from / (len(expected) + 1),
        median_rank=float((expected <= np.median(found)).mean()) if len(found) else np.nan,
        judged=len(expected),
        tested=len(first_faces),
        evidence=_evidence(
            online_p_values(expected, np.array([first_faces[digest] for digest in sorted(first_faces)]))
        ),
    )


def online_p_values(before: Float64[np.ndarray, " n"], values: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Return how high each value ranks among all before it: uniform from 0 to 1, and independent, if exchangeable.

    Ranks of equal values are drawn, with a fixed seed (Vovk, Gammerman and Shafer 2022, section 2.9).
    """
    drawn = numpy_generator(0, "predict", "drift").random(len(values))
    p = np.empty(len(values))
    seen = np.sort(before)
    for start in range(0, len(values), _AT_ONCE):
        some = values[start : start + _AT_ONCE]
        earlier = np.tri(len(some), k=-1, dtype=bool)
        below, up_to = (np.searchsorted(seen, some, side) for side in ("left", "right"))
        higher = len(seen) - up_to + (earlier & (some > some[:, None])).sum(axis=1)
        equal = up_to - below + (earlier & (some == some[:, None])).sum(axis=1) + 1
        count = len(seen) + 1 + np.arange(len(some))
        p[start : start + len(some)] = (higher + drawn[start : start + len(some)] * equal) / count
        seen = np.sort(np.concatenate([seen, some]), kind="stable")
    return p


def _evidence(p: Float64[np.ndarray, " N"]) -> float:
    """Return the highest value of the martingale that bets against uniform p-values."""
    from crepes.martingales import SimpleJumper  # pandas comes with it

    with np.errstate(over="ignore"):
        return float(np.max(SimpleJumper().apply(p), initial=1.0))
