"""Test-time augmentation: the augmented selves of faces whose age is to be predicted (the paper's future work)."""

import logging
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from vec2uage.augmentation.augmenter import Child, open_studio, vectors_of
from vec2uage.augmentation.folder import made_for
from vec2uage.augmentation.parents import parents_in, settings_of
from vec2uage.augmentation.settings import ImageAugmentation
from vec2uage.base.errors import UserError
from vec2uage.base.interrupt import interruptible
from vec2uage.data.dataset import Dataset
from vec2uage.data.loading import Augmentation
from vec2uage.data.prepared import Prepared
from vec2uage.data.vectorset import VectorSet
from vec2uage.faces.pool import Interrupted

log = logging.getLogger(__name__)


@runtime_checkable
class Wanted(Protocol):
    """What an evaluation says of test-time augmentation."""

    @property
    def tta(self) -> int: ...
    @property
    def dataset(self) -> Dataset: ...
    @property
    def augmentation(self) -> Augmentation: ...
    @property
    def store(self) -> str: ...
    @property
    def workers(self) -> int | Literal["auto"]: ...
    @property
    def device(self) -> str: ...


def views_of(wanted: Wanted, vs: VectorSet) -> Float32[np.ndarray, "N K D"]:
    """Return the vectors of `tta` augmentations of each row's face; they depend on the face and the recipe alone.

    Raises UserError where the rows are of no prepared set, or have no photographs.
    """
    augmentation, dataset = wanted.augmentation, wanted.dataset
    if not isinstance(augmentation, ImageAugmentation):
        raise UserError("tta needs an augmentation that makes faces, such as augmentation=published")
    if not isinstance(dataset, Prepared):
        raise UserError("tta needs photographs: take dataset=prepared with dataset.path=<a folder of vec2uage.prepare>")
    prepared = Path(dataset.path)
    how = settings_of(prepared, store=wanted.store, workers=wanted.workers, device=wanted.device)
    with interruptible() as stop:
        try:
            parents = parents_in(vs, prepared, how, stop)
            if bare := [name for name in vs.names.tolist() if name not in parents]:
                raise UserError(
                    f"{prepared}: {len(bare):,} of {len(vs):,} faces, such as {bare[0]}, were read from files of "
                    "vectors, so they have no photographs to augment: set tta=0"
                )
            recipe = _kept(augmentation, prepared).recipe
            children = [
                Child(parents[name], recipe, number) for name in vs.names.tolist() for number in range(wanted.tta)
            ]
            with open_studio(how.extraction(None), how.store, how.workers, how.device, stop) as made:
                return vectors_of(children, made).reshape(len(vs), wanted.tta, vs.dimension)
        except Interrupted:
            log.warning("what was computed is kept in %s: the same command continues", wanted.store)
            raise KeyboardInterrupt from None


def _kept(augmentation: ImageAugmentation, prepared: Path) -> ImageAugmentation:
    """Return the augmentation without the operations that were dropped when the set's new faces were made."""
    keep = augmentation.keep
    if keep.rule == "all":
        return augmentation
    if keep.level == "sample":
        raise UserError(
            "tta takes every face that is drawn: set augmentation.keep.rule=all, or augmentation.keep.level=op"
        )
    return augmentation.with_ops(set(made_for(prepared, augmentation)["operations"]))
