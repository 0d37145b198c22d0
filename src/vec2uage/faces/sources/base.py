"""What all sources have in common: a name, which faces are taken, and how an age and a gender are read."""

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator

from vec2uage.config.settings import settings
from vec2uage.data.cells import OLDEST, as_number
from vec2uage.faces.records import Photograph

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NonEmpty = Annotated[str, Field(min_length=1)]
Year = Annotated[int, Field(ge=0, le=OLDEST)]


class Source(ABC):
    """Where faces come from."""

    @abstractmethod
    def sources(self) -> tuple["SingleSource", ...]:
        """Return what this source is made of: itself, or the parts of a merged one."""


@settings
class SingleSource(Source):
    """A source by itself, or one of several merged ones: its name and which of its faces are taken."""

    name: NonEmpty | None
    """The column `source` of its faces; None: as its file says."""
    ages: tuple[Year, Year] | None
    """First and last age in whole years, both included: floor(age) lies in it. None takes every face."""
    genders: tuple[Literal["male", "female", "unknown"], ...] | None
    """None takes every face."""

    @field_validator("ages")
    @classmethod
    def _ordered(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and value[0] > value[1]:
            raise ValueError("the first age must not be above the last")
        return value

    def sources(self) -> tuple["SingleSource", ...]:
        return (self,)

    def figures(self) -> dict[str, "Figure"]:
        """Return pictures of this source's own, by the name of their file; most have none."""
        return {}

    def takes(self, age: float | None, gender: str) -> bool:
        """Tell whether a face of this age and gender is among those asked for."""
        if self.ages is not None and (age is None or not self.ages[0] <= math.floor(age) <= self.ages[1]):
            return False
        return self.genders is None or (gender or "unknown") in self.genders


@settings
class Photographs(SingleSource):
    """Photographs that are still to be opened."""

    name: NonEmpty
    path: NonEmpty

    @abstractmethod
    def find(self) -> list[Photograph]:
        """Return one record for every file found (or named by a table), sorted by name; no file is opened.

        Files without a usable age have a `problem`; the filters are not applied (see `admits`). Raises UserError
        when there is no such folder or nothing in it.
        """

    def admits(self, photograph: Photograph) -> bool:
        """Tell whether a photograph that `find` returned passes the filters of this source."""
        return self.takes(photograph.age, photograph.gender)


def read_age(text: str) -> tuple[float | None, str]:
    """Return the age that a text gives in years, or None and what is wrong with it."""
    shown = text if len(text) <= 40 else text[:40] + "..."
    try:
        age = as_number(text)
    except ValueError:
        return None, f"age {shown!r} is not a number"
    if math.isnan(age):
        return None, "no age"
    if not 0 <= age <= OLDEST:
        return None, f"age {shown} is not between 0 and {OLDEST}"
    return age, ""
