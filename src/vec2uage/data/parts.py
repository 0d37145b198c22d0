"""The named parts of a set of vectors, such as train, validation and test: the type that training works on."""

import hashlib
import logging
from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from vec2uage.base.errors import UserError
from vec2uage.data.vectorset import VectorSet, needed_ages

log = logging.getLogger(__name__)

Parts = Mapping[str, VectorSet]
"""Vectors by the name of their part; no name of a row is in two of them."""
PARTS = ("train", "validation", "test")
"""The parts that training needs."""
ALL_PARTS = ("train", "validation", "calibration", "test")
"""Every part of a divided set, in the order in which parts are told."""
UNDIVIDED = "vectors"
"""The name of the one part of a set that is not divided."""


def _ordered(ages: tuple[int, int]) -> tuple[int, int]:
    if ages[0] > ages[1]:
        raise ValueError("the first age must not be above the last")
    return ages


AgeRange = Annotated[tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(le=120)]], AfterValidator(_ordered)]
"""First and last age in whole years, both included: a row belongs when floor(age) lies in it."""

Label = Literal["exact", "floor", "whole"]
"""`floor`: training ages become whole years, as in the authors' code; `whole`: all others too, as the paper says."""


def is_divided(parts: Container[str]) -> bool:
    """Tell whether parts, or the names of parts, are of a set that is divided."""
    return UNDIVIDED not in parts


def part_of(parts: Parts, name: str) -> VectorSet:
    """Return the part of this name; UserError where there is none, as of a set that was prepared without it."""
    if name not in parts:
        raise UserError(
            f"no part {name}, only {', '.join(parts)}: divide the data with split.calibration_per_age above 0, "
            "or take another part"
        )
    return parts[name]


def fingerprint(parts: Parts) -> str:
    """Return 16 hex digits that change with any value of any part, and with which part a row is in."""
    if not is_divided(parts):
        return parts[UNDIVIDED].fingerprint()
    fingerprints = " ".join(part.fingerprint() for part in parts.values())
    return hashlib.sha256(fingerprints.encode()).hexdigest()[:16]


def relabelled(parts: Parts, label: Label) -> Parts:
    """Return the parts with ages cut to whole years where `label` says so."""

    def is_cut(name: str) -> bool:
        return label == "whole" or (label == "floor" and name == "train")

    return {name: _in_whole_years(part) if is_cut(name) else part for name, part in parts.items()}


def within(vs: VectorSet, age_range: AgeRange) -> VectorSet:
    """Return the rows whose whole age lies in `age_range`, both ends included; say in the log how many do not.

    Raises UserError where there are none, or no ages are known.
    """
    first, last = age_range
    floors = np.floor(needed_ages(vs, f"split.age_range=[{first},{last}]"))
    inside = (floors >= first) & (floors <= last)
    if inside.all():
        return vs
    if not inside.any():
        raise UserError(f"no rows of the ages {first}-{last}: set split.age_range to ages that the data has")
    log.info("%s of %s rows are outside the ages %d-%d", f"{(~inside).sum():,}", f"{len(vs):,}", first, last)
    return vs.take(inside)


def _in_whole_years(vs: VectorSet) -> VectorSet:
    return replace(vs, ages=np.floor(needed_ages(vs, "a label in whole years")))
