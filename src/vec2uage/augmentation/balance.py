"""What training does with augmented faces: the same number of rows for every age, photographed or augmented."""

from pathlib import Path

import numpy as np

from vec2uage.augmentation.augmented_set import find_vectors, read_drawn, read_for
from vec2uage.augmentation.image_augmentation import ImageAugmentation
from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data.balance import in_turn
from vec2uage.data.drawn import Drawn
from vec2uage.data.vectorset import VectorSet, concatenate, needed_ages


@settings
class AugmentedBalance(ImageAugmentation):
    """Fills every age with augmented faces, where `augmentation=balance` repeats the vectors that there are.

    The faces are made once, by `vec2uage.augment` or `vec2uage.prepare`, in the folder of a prepared set; training
    reads their vectors from there.
    """

    folder: str | None
    """The prepared set that training reads the faces from."""

    def apply(self, train: VectorSet) -> VectorSet:
        """Return exactly `train_per_age` rows of every whole age: its photographed faces, then augmented ones.

        The photographed faces of an age are the ones that `augmentation=balance` with the same seed takes. Raises
        UserError where the faces have not been made for these training rows, with these options, or are too few.
        """
        augmented = read_for(train, self._prepared(), self)
        ages, augmented_ages = (np.floor(needed_ages(vs, "augmentation")).astype(np.int64) for vs in (train, augmented))
        photographed_rows, augmented_rows, short = [], [], []
        for age in np.unique(ages).tolist():
            photographed = in_turn(ages, age, self.seed)[: self.train_per_age]
            fill = np.flatnonzero(augmented_ages == age)[: self.train_per_age - len(photographed)]
            if len(photographed) + len(fill) < self.train_per_age:
                short.append(f"age {age} has {len(photographed) + len(fill):,}")
            photographed_rows.append(photographed)
            augmented_rows.append(fill)
        if short:
            raise UserError(
                f"augmentation.train_per_age = {self.train_per_age}: too few faces were made in {self.folder} "
                f"({', '.join(short[:3])}): lower it, or make more: vec2uage.augment task=generate with this value"
            )
        originals = train.take(np.sort(np.concatenate(photographed_rows)))
        return concatenate([originals, augmented.take(np.concatenate(augmented_rows))])

    def drawn(self) -> dict[str, Drawn]:
        """Return how the faces are drawn, by name; UserError where they cannot be drawn again as they were."""
        return read_drawn(self._prepared(), self)

    def check_files(self) -> None:
        """Raise UserError where no faces have been made with these options."""
        find_vectors(self._prepared(), self)

    def _prepared(self) -> Path:
        if self.folder is None:
            raise UserError(
                f"augmentation={self.name} needs the faces of photographs: take dataset=prepared with "
                "dataset.path=<a folder of vec2uage.prepare>"
            )
        return Path(self.folder)
