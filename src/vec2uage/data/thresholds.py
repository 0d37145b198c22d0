"""From which cosine on two vectors show one picture or one person: another number for every encoder."""

from dataclasses import dataclass

from vec2uage.base.encoder import Encoder


@dataclass(frozen=True)
class Thresholds:
    """Cosines from which two vectors are taken for one picture, and for pictures of one person; None: not searched."""

    near_duplicate: float | None
    same_person: float | None

    @property
    def least(self) -> float | None:
        """The cosine from which pairs are searched at all."""
        return min((one for one in (self.near_duplicate, self.same_person) if one is not None), default=None)


MEASURED = {
    "facenet-tuned-": Thresholds(near_duplicate=None, same_person=None),  # tuned for age, and each in another way
    "facenet-": Thresholds(near_duplicate=0.95, same_person=0.9),
    "dlib-resnet": Thresholds(near_duplicate=0.995, same_person=None),
}
"""By how the name of a network begins; measured on UTKFace chips (`docs/leakage.md`)."""
MEASURED_WITH = {"embedder.normalize": ("fixed", None), "embedder.layer": ("last_linear", None)}
"""With these values of FaceNet's options, None where not known. Others were not measured, and most make vectors so
alike that the cosines above take strangers for copies."""
UNKNOWN = Thresholds(near_duplicate=None, same_person=None)


def measured(encoder: str) -> Thresholds:
    """Return the thresholds of an encoder (`VectorSet.encoder`), `UNKNOWN` where it was not measured."""
    options = Encoder.parse(encoder).options
    if any(options.get(key) not in values for key, values in MEASURED_WITH.items()):
        return UNKNOWN
    return next((found for prefix, found in MEASURED.items() if encoder.startswith(prefix)), UNKNOWN)
