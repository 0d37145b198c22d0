"""Of what an evaluation tells nothing, or little: the sentences of a statement that its reader must know."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from vec2uage.base.encoder import Encoder
from vec2uage.base.formatting import counted, ranges
from vec2uage.data.vectorset import VectorSet
from vec2uage.evaluation.breakdown import Group
from vec2uage.evaluation.judgement import Judgement
from vec2uage.evaluation.statement import Data
from vec2uage.predictions.minors import ADULT
from vec2uage.predictions.operating import FEWEST
from vec2uage.training.calibrated import Calibrated


def known_limits(
    calibrated: Calibrated,
    judged: VectorSet,
    judgement: Judgement,
    data: Data,
    measures: Mapping[str, object] | None,
    trained: VectorSet | None,
    has_reference: bool,
) -> tuple[str, ...]:
    """Return what a reader must know beside the numbers, a sentence each.

    `trained` are the faces that the model was trained on, None where that is not known.
    """
    return (
        *_of_ages(data, judgement.groups),
        *_of_people(judged, judgement.groups),
        *_of_training(data, judged, trained, has_reference),
        *_of_data(data, calibrated.model.encoder, measures),
        *_of_spread(calibrated, judgement),
    )


def _of_ages(data: Data, groups: Sequence[Group]) -> Iterator[str]:
    first, last = (int(np.floor(age)) for age in data.ages)
    yield f"Only ages from {first} to {last} were tried: of anybody younger or older, nothing is known."
    if last < ADULT:
        yield "No adult was tried, so that it is not known how many adults are taken for minors."
    if first >= ADULT:
        yield "No minor was tried, so that it is not known how many minors are found."
    of_age = {int(group.value): group for group in groups if group.column == "age"}
    if missing := sorted(set(range(first, last + 1)) - of_age.keys()):
        yield f"There was no face of the ages {ranges(missing)}."
    if few := [age for age, group in of_age.items() if group.is_small]:
        yield f"Of the ages {ranges(few)} there were fewer than {FEWEST} faces each, which say little of them."


def _of_people(judged: VectorSet, groups: Sequence[Group]) -> Iterator[str]:
    if not judged.has_subjects:
        yield (
            "It is not known which faces are of one person: each counts as a person of its own, and where some are "
            "not, the bounds of all rates and errors are too narrow. The model may have been trained on other faces of "
            "the same people: errors on strangers may be larger."
        )
    for column, values in (("gender", judged.gender), ("source", judged.source)):
        known = sorted(set(map(str, values)) - {""})
        if len(known) < 2:
            only = f"All faces are of one {column} ({known[0]})" if known else f"No {column} is known"
            yield f"{only}, so that errors are not told apart by it."
        if few := [group.value for group in groups if group.column == column and group.is_small]:
            yield f"By {column}, there were fewer than {FEWEST} faces each of: {', '.join(few)}."
    yield (
        "Errors are not told apart by what the data does not say: origin and colour of the skin, health, make-up, "
        "expression, pose, light, camera, compression and editing of the photograph."
    )


def _of_training(data: Data, judged: VectorSet, trained: VectorSet | None, has_reference: bool) -> Iterator[str]:
    if data.maybe_learnt:
        yield (
            f"The model may have been trained on {data.maybe_learnt:,} of the {counted(data.faces, 'face')}: errors on "
            "others are larger than those stated."
        )
    if data.part == "validation":
        yield "The faces are those by which training chose the model: errors on others are a little larger."
    if trained is None:
        yield (
            "It is not known here which faces the model was trained on: if some of them were tried, errors on others "
            "are larger than those stated."
        )
    elif known := set(judged.subjects) & set(trained.subjects) - {""}:
        yield (
            f"The model was trained on other faces of {counted(len(known), 'person')} of those tried: errors on "
            "strangers may be larger."
        )
    if not has_reference:
        yield "How far a case's faces are from those of training cannot be told: these are not known, or too few."


def _of_data(data: Data, encoder: str, measures: Mapping[str, object] | None) -> Iterator[str]:
    if any(Encoder.parse(text).network is None for text in (encoder, data.encoder)):
        yield "What made the vectors is not known, so that it cannot be checked that a case's are made in the same way."
    if measures is None:
        yield "The quality of the photographs is not known, so that a case's cannot be compared with it."


def _of_spread(calibrated: Calibrated, judgement: Judgement) -> Iterator[str]:
    calibration = calibrated.calibration
    if not judgement.prediction.has_spread:
        yield "The model gives one age a face: there are no intervals and there is no P(age < 18)."
    elif calibration is None or calibration.fitted is None:
        yield (
            "Intervals and P(age < 18) are as the model gives them, and were not calibrated: how far they hold was "
            "observed on these faces alone."
        )
    if calibration is None or calibration.threshold is None:
        yield "No threshold with a guaranteed share of minors was fitted: nobody is flagged."
    if calibration is not None:
        yield (
            "What calibration and threshold promise holds for faces that come from the same source, with the same mix "
            "of ages, as those that they were fitted to: a case is seldom such."
        )
