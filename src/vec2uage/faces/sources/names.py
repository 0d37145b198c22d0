"""Photographs whose names say age, subject and gender: a data set is a pattern in a YAML file."""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator, model_validator

from vec2uage.config.component import frozen
from vec2uage.config.settings import settings
from vec2uage.data.naming import SCHEMES, Naming, Pattern, naming
from vec2uage.faces.records import Photograph
from vec2uage.faces.sources.base import Photographs, read_age
from vec2uage.faces.sources.walk import walk


@settings
class NamedPhotographs(Photographs):
    """All files below a folder, by a naming scheme that their whole names (without folders) match."""

    pattern: Pattern
    """One of `naming.SCHEMES`, or a regular expression of Python with the named groups `age` and optionally `subject`
    and `gender`."""
    gender_codes: tuple[tuple[str, Literal["male", "female"]], ...] | None
    """What the group `gender` of a regular expression finds and what it means, as a mapping in YAML; any other text is
    an unknown gender. Known schemes have their own."""

    @field_validator("gender_codes", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        return frozen(value)

    @model_validator(mode="after")
    def _codes_have_a_group(self) -> "NamedPhotographs":
        has_group = self.pattern not in SCHEMES and "gender" in naming(self.pattern).regex.groupindex
        if has_group != bool(self.gender_codes):
            raise ValueError("a group gender in the pattern and gender_codes belong together: give both or neither")
        return self

    @cached_property
    def _naming(self) -> Naming:
        known = naming(self.pattern)
        return known if self.gender_codes is None else replace(known, gender_codes=dict(self.gender_codes))

    def find(self) -> list[Photograph]:
        return [p if p.problem else self._read(p) for p in walk(Path(self.path), self.name)]

    def _read(self, photograph: Photograph) -> Photograph:
        facts = self._naming.read(photograph.name.rpartition("/")[2])  # as text, unlike the path
        if facts is None:
            return replace(photograph, problem=f"the name does not match the pattern of {self.name}")
        age, problem = read_age(facts.age)
        return replace(photograph, age=age, problem=problem, subject=facts.subject, gender=facts.gender)
