"""The config group `augmentation` where it makes faces: what is done to them, which are kept, and how many."""

import json
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from vec2uage.augmentation.keep_rule import KeepRule
from vec2uage.augmentation.ops import Op
from vec2uage.augmentation.recipe import Combine, Recipe, described_ops
from vec2uage.config.settings import settings


@settings
class ImageAugmentation:
    """What is done to faces, which of the augmented ones are kept, and how many faces each age is to have."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,60}$")]
    """Of the folder that holds the faces: different recipes on one set need different names."""
    op: tuple[tuple[str, Op], ...]
    """By name, in the order in which they are done; a mapping in YAML."""
    combine: Combine
    keep: KeepRule
    train_per_age: Annotated[int, Field(gt=0)]
    seed: Annotated[int, Field(ge=0)]
    images: Literal["none", "jpeg"]
    jpeg_quality: Annotated[int, Field(ge=1, le=100)]

    @field_validator("op", mode="before")
    @classmethod
    def _in_order(cls, value: Any) -> Any:
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

    def amount(self) -> dict[str, Any]:
        """Return how many faces each age is to have, and what is kept of them besides vectors."""
        images = f"jpeg, quality {self.jpeg_quality}" if self.images == "jpeg" else "none"
        return {"train_per_age": self.train_per_age, "images": images}

    def with_ops(self, names: set[str]) -> "ImageAugmentation":
        """Return the same settings with only those operations."""
        return replace(self, op=tuple((name, op) for name, op in self.op if name in names))
