"""The config group `augmentation` where it makes new faces: what is done to them, which are kept, and how many."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from vec2uage.augmentation.keep_rule import Keep
from vec2uage.augmentation.ops import Op
from vec2uage.augmentation.recipe import Combine, Recipe, described_ops
from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.data.balance import in_turn
from vec2uage.data.vectorset import VectorSet, concatenate


@settings
class ImageAugmentation:
    """Fills every age with augmented faces, where `augmentation=balance` repeats the vectors that there are.

    The faces are made once, by `vec2uage.augment` or `vec2uage.prepare`, in the folder of a prepared set; training
    reads their vectors from there.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")]
    """Of the folder that holds the faces: different recipes on one set need different names."""
    op: tuple[tuple[str, Op], ...]
    """By name, in the order in which they are done; a mapping in YAML."""
    combine: Combine
    keep: Keep
    train_per_age: Annotated[int, Field(gt=0)]
    seed: Annotated[int, Field(ge=0)]
    images: Literal["none", "jpeg"]
    jpeg_quality: Annotated[int, Field(ge=1, le=100)]
    folder: str | None
    """The prepared set that training reads the faces from."""

    @field_validator("op", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if unknown := [name for name, op in value.items() if not isinstance(op, Op)]:
            known = ", ".join(name for name in value if name not in unknown)
            raise ValueError(
                f"{unknown[0]} is no operation of this augmentation ({known}), and a new one needs a _target_, such as "
                "vec2uage.augmentation.ops.Rotation"
            )
        return tuple(value.items())

    @model_validator(mode="after")
    def _something_happens(self) -> "ImageAugmentation":
        if not any(op.probability for _, op in self.op):
            raise ValueError("no operation has a probability above 0")
        return self

    @property
    def recipe(self) -> Recipe:
        """What is done to a face, before the keep rule drops operations."""
        return Recipe(self.op, self.combine, self.seed)

    def options(self) -> dict[str, Any]:
        """Return what decides which faces are made, as JSON holds it; not how many."""
        made = {"op": described_ops(self.op), "combine": self.combine, "keep": asdict(self.keep), "seed": self.seed}
        plain: dict[str, Any] = json.loads(json.dumps(made))  # tuples become lists, as in a file
        return plain

    def apply(self, train: VectorSet) -> VectorSet:
        """Return exactly `train_per_age` rows of every whole age: its photographed faces, then augmented ones.

        The photographed faces of an age are the ones that `augmentation=balance` with the same seed takes. Raises
        UserError where the faces have not been made for these training rows, with these options, or are too few.
        """
        from vec2uage.augmentation.folder import read_children

        children = read_children(self._prepared(), self, train)
        floors, child_floors = np.floor(train.ages).astype(np.int64), np.floor(children.ages).astype(np.int64)
        chosen, chosen_children, short = [], [], []
        for age in np.unique(floors).tolist():
            rows = in_turn(floors, age, self.seed)[: self.train_per_age]
            of_age = np.flatnonzero(child_floors == age)[: self.train_per_age - len(rows)]
            if len(rows) + len(of_age) < self.train_per_age:
                short.append(f"age {age} has {len(rows) + len(of_age):,}")
            chosen.append(rows)
            chosen_children.append(of_age)
        if short:
            raise UserError(
                f"augmentation.train_per_age = {self.train_per_age}: too few faces were made in {self.folder} "
                f"({', '.join(short[:3])}): lower it, or make more with the same value and vec2uage.augment"
            )
        originals = train.take(np.sort(np.concatenate(chosen)))
        return concatenate([originals, children.take(np.concatenate(chosen_children))])

    def check_files(self) -> None:
        """Raise UserError where no faces have been made with these options."""
        from vec2uage.augmentation.folder import find_children

        find_children(self._prepared(), self)

    def _prepared(self) -> Path:
        if self.folder is None:
            raise UserError(
                f"augmentation={self.name} needs the faces of photographs: take dataset=prepared with "
                "dataset.path=<a folder of vec2uage.prepare>"
            )
        return Path(self.folder)

    def with_ops(self, names: set[str]) -> "ImageAugmentation":
        """Return the same settings with only those operations."""
        return replace(self, op=tuple((name, op) for name, op in self.op if name in names))
