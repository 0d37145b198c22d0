"""How the names of photographs tell age, subject and gender: one place for folders of photographs and the paper's JSON.

A naming scheme is known here by its name, or it is a regular expression of the user's own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, Field

from vec2uage.base.errors import UserError
from vec2uage.data.cells import OLDEST

GROUPS = ("age", "subject", "gender")
_AGE = r"(?P<age>\d{1,3}(?:\.\d+)?)"
_IMAGE = r"\.(?i:jpe?g|png|bmp|gif|tiff?|webp)"
_NOT_UTKFACE = r"(?!(?:.*_)?\d{14,}\.|.*\.chip\.)"  # whose names end in a time, year to second or longer
_FOLDER = r"(?:.*[/\\])?"  # also as Windows writes it


@dataclass(frozen=True, slots=True)
class NameFacts:
    """What a name says, as it says it; "" for what it does not."""

    age: str
    subject: str
    gender: str
    """"male", "female" or "" where unknown."""


@dataclass(frozen=True)
class Naming:
    """A naming scheme: a pattern that whole names match, with the named groups `age` and, if at all, the others."""

    pattern: str
    layout: str = ""
    """The pattern as people write it."""
    gender_codes: Mapping[str, str] = field(default_factory=dict)
    """What the group `gender` finds and what it means; any other text is an unknown gender."""

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The pattern, compiled."""
        return re.compile(self.pattern, re.DOTALL)  # names may hold line ends

    def read(self, name: str) -> NameFacts | None:
        """Return what a name says, None where it does not match."""
        match = self.regex.fullmatch(name)
        if match is None:
            return None
        said = {group: text or "" for group, text in match.groupdict().items()}
        gender = self.gender_codes.get(said.get("gender", ""), "")
        return NameFacts(age=said["age"], subject=said.get("subject", ""), gender=gender)


SCHEMES = {
    # The authors' code takes the second of the parts between underscores; their script names <uuid>_<age>_x.jpg. A
    # folder belongs to the subject, whatever stands in its name.
    "paper": Naming(
        rf"(?P<subject>{_FOLDER}[^_/\\]*)_{_AGE}_{_NOT_UTKFACE}[^/\\]*{_IMAGE}", "<subject>_<age>_<rest>.jpg"
    ),
    # Read from its end, as the subject may hold underscores.
    "numbered": Naming(rf"(?P<subject>.*)_{_AGE}_{_NOT_UTKFACE}\d+{_IMAGE}", "<sub_ject>_<age>_<n>.jpg"),
    # Zhang, Song and Qi 2017; aligned chips end in .jpg.chip.jpg.
    "utkface": Naming(
        rf"{_FOLDER}(?P<age>\d+)_(?P<gender>[01])_[0-4]_\d+{_IMAGE}(?i:\.chip\.jpg)?",
        "<age>_<gender>_<race>_<time>.jpg",
        {"0": "male", "1": "female"},
    ),
    # Moschoglou et al. 2017.
    "agedb": Naming(
        rf"{_FOLDER}\d+_(?P<subject>.+)_(?P<age>\d+)_(?P<gender>[mf]){_IMAGE}",
        "<n>_<subject>_<age>_<gender>.jpg",
        {"m": "male", "f": "female"},
    ),
    # A letter tells apart pictures of one age.
    "fgnet": Naming(rf"{_FOLDER}(?P<subject>\d{{3}})[Aa](?P<age>\d{{2}})[A-Za-z]?{_IMAGE}", "<subject>A<age>.jpg"),
    # Ricanek and Tesafaye 2006.
    "morph": Naming(
        rf"{_FOLDER}(?P<subject>\d+)_\d+(?P<gender>[MF])(?P<age>\d+){_IMAGE}",
        "<subject>_<n><gender><age>.jpg",
        {"M": "male", "F": "female"},
    ),
}
"""Known naming schemes; where several fit as well as each other and say the same, the first one counts."""


def naming(pattern: str) -> Naming:
    """Return the naming scheme that an option `pattern` stands for: one of `SCHEMES` or a regular expression.

    Raises ValueError where it is neither, or has other groups than `GROUPS`.
    """
    if pattern in SCHEMES:
        return SCHEMES[pattern]
    try:
        groups = re.compile(pattern).groupindex
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression ({error})") from None
    if unknown := sorted(groups.keys() - set(GROUPS)):
        raise ValueError(
            f"the group {unknown[0]!r} is unknown; known are {', '.join(GROUPS)}; other parts take (?:...)"
        )
    if "age" not in groups:
        raise ValueError(f"needs a group (?P<age>...), or to be one of {', '.join(SCHEMES)}")
    return Naming(pattern, pattern, {"m": "male", "M": "male", "f": "female", "F": "female"})


def _usable(pattern: str) -> str:
    naming(pattern)
    return pattern


Pattern = Annotated[str, Field(min_length=1), AfterValidator(_usable)]
"""The option `pattern`: what `naming` takes."""


def recognise(names: Sequence[str], where: str) -> Naming | None:
    """Return the known scheme that most names fit, None where none fits any; a name that does not is another's.

    Raises UserError where fewer than half of the names fit it, or where two schemes fit half of them or more and say
    different things of one: which is meant, only the user knows.
    """
    said = {scheme: [_plausible(known.read(name)) for name in names] for scheme, known in SCHEMES.items()}
    fits = {scheme: sum(facts is not None for facts in each) for scheme, each in said.items()}
    best = max(fits, key=lambda scheme: fits[scheme])  # the first of several
    if fits[best] == 0:
        return None
    if 2 * fits[best] < len(names):
        odd = next(name for name, facts in zip(names, said[best], strict=True) if facts is None)
        raise UserError(
            f"{where}: only {fits[best]:,} of {len(names):,} names are like {SCHEMES[best].layout}, others like "
            f"{_short(odd)!r}: say with the option pattern how they tell ages, one of {', '.join(SCHEMES)} or a "
            "regular expression"
        )
    for other in SCHEMES:
        if other == best or 2 * fits[other] < len(names):
            continue
        for name, one, two in zip(names, said[best], said[other], strict=True):
            if one is not None and two is not None and _facts(one) != _facts(two):
                raise UserError(
                    f"{where}: names can be read in two ways: {_short(name)!r} is of age {one.age} as "
                    f"{SCHEMES[best].layout} (pattern={best}), of age {two.age} as {SCHEMES[other].layout} "
                    f"(pattern={other}): set the option pattern to the one that is meant"
                )
    return SCHEMES[best]


def _plausible(facts: NameFacts | None) -> NameFacts | None:
    """Return facts whose age a person can have: a year or a number of a picture is no age."""
    return facts if facts is not None and float(facts.age) <= OLDEST else None


def _facts(facts: NameFacts) -> tuple[float, str]:
    return float(facts.age), facts.subject


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:80] + "..."
