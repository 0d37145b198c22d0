"""Test-time augmentation: the augmented selves of faces whose age is to be predicted (the paper's future work)."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from vec2uage.augmentation.augmented_set import find_for
from vec2uage.augmentation.augmenter import open_augmenter
from vec2uage.augmentation.drawing import AugmentedFace
from vec2uage.augmentation.execution import Execution, ExecutionOptions
from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.augmentation.source_faces import faces_of_rows, settings_of
from vec2uage.base.errors import UserError
from vec2uage.base.interrupt import interruptible_keeping
from vec2uage.data.dataset import Dataset
from vec2uage.data.loading import Augmentation
from vec2uage.data.prepared import Prepared
from vec2uage.data.vectorset import VectorSet


@runtime_checkable
class TtaSettings(ExecutionOptions, Protocol):
    """What an evaluation says of test-time augmentation."""

    @property
    def tta(self) -> int: ...
    @property
    def trust_code(self) -> bool: ...
    @property
    def dataset(self) -> Dataset: ...
    @property
    def augmentation(self) -> Augmentation: ...


def augmented_vectors(settings: TtaSettings, vs: VectorSet) -> Float32[np.ndarray, "N K D"]:
    """Return the vectors of `tta` (K) augmentations of each row's face; they depend on the face and the recipe alone.

    Raises UserError where the rows are of no prepared set, or have no photographs.
    """
    augmentation, dataset = settings.augmentation, settings.dataset
    if not isinstance(augmentation, ImageAugmentation):
        raise UserError("tta needs an augmentation that makes faces, such as augmentation=published")
    if not isinstance(dataset, Prepared):
        raise UserError("tta needs photographs: take dataset=prepared with dataset.path=<a folder of vec2uage.prepare>")
    prepared = Path(dataset.path)
    prepared_with = settings_of(prepared, settings, settings.trust_code)
    with interruptible_keeping(settings.store) as stop:
        sources = faces_of_rows(vs, prepared, prepared_with, stop)
        if bare := [name for name in vs.names.tolist() if name not in sources]:
            raise UserError(
                f"{prepared}: {len(bare):,} of {len(vs):,} faces, such as {bare[0]}, were read from files of "
                "vectors, so they have no photographs to augment: set tta=0"
            )
        recipe = _kept(augmentation, prepared).recipe
        faces = [
            AugmentedFace(sources[name], recipe, number) for name in vs.names.tolist() for number in range(settings.tta)
        ]
        with open_augmenter(prepared_with.extraction(None), Execution.of(settings, stop)) as augmenter:
            return augmenter.vectors_of(faces).reshape(len(vs), settings.tta, vs.dimension)


def _kept(augmentation: ImageAugmentation, prepared: Path) -> ImageAugmentation:
    """Return the augmentation without the operations that were dropped when the set's new faces were made."""
    keep_rule = augmentation.keep
    if keep_rule.rule == "all":
        return augmentation
    if keep_rule.level == "sample":
        raise UserError(
            "tta takes every face that is drawn: set augmentation.keep.rule=all, or augmentation.keep.level=op"
        )
    return augmentation.with_ops(set(find_for(prepared, augmentation).about["operations"]))
