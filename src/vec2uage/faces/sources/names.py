"""Photographs whose names say age, subject and gender: a data set is a pattern in a YAML file."""

import re
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import field_validator, model_validator

from vec2uage.config.component import frozen
from vec2uage.config.settings import settings
from vec2uage.faces.records import Photograph
from vec2uage.faces.sources.base import NonEmpty, Photographs, read_age
from vec2uage.faces.sources.walk import walk

GROUPS = ("age", "subject", "gender")


@settings
class NamedPhotographs(Photographs):
    """All files below a folder, by a pattern that their whole names (without folders) match."""

    pattern: NonEmpty
    """A regular expression of Python with the named groups `age` and optionally `subject` and `gender`."""
    gender_codes: tuple[tuple[str, Literal["male", "female"]], ...] | None
    """What the group `gender` finds and what it means, as a mapping in YAML; any other text is an unknown gender."""

    @field_validator("gender_codes", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        return frozen(value)

    @field_validator("pattern")
    @classmethod
    def _usable(cls, value: str) -> str:
        try:
            groups = re.compile(value).groupindex
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"not a regular expression ({error})") from None
        if unknown := sorted(groups.keys() - set(GROUPS)):
            raise ValueError(
                f"the group {unknown[0]!r} is unknown; known are {', '.join(GROUPS)}; other parts take (?:...)"
            )
        if "age" not in groups:
            raise ValueError("needs a group (?P<age>...)")
        return value

    @model_validator(mode="after")
    def _codes_have_a_group(self) -> "NamedPhotographs":
        if ("gender" in self._regex.groupindex) != bool(self.gender_codes):
            raise ValueError("a group gender in the pattern and gender_codes belong together: give both or neither")
        return self

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.DOTALL)  # names may hold line ends

    def find(self) -> list[Photograph]:
        return [p if p.problem else self._read(p) for p in walk(Path(self.path), self.name)]

    def _read(self, photograph: Photograph) -> Photograph:
        match = self._regex.fullmatch(photograph.name.rpartition("/")[2])  # as text, unlike the path
        if match is None:
            return replace(photograph, problem=f"the name does not match the pattern of {self.name}")
        said = {group: text or "" for group, text in match.groupdict().items()}
        age, problem = read_age(said["age"])
        gender = dict(self.gender_codes or ()).get(said.get("gender", ""), "")
        return replace(photograph, age=age, problem=problem, subject=said.get("subject", ""), gender=gender)
