"""What an encoder is: all that decides from photograph to vector, as one text that files, models and results carry.

    facenet-20180408-102900-704afe26/resize/fixed/normalized/crop.margin:0.0/crop.size:224/detector:none

The network comes first, FaceNet's and dlib's with how they take a crop; then, by key, the options of `vec2uage.prepare`
that decide what is cut out of a photograph. What a text leaves out is not known, but for `crop.align`, which is `box`
where a margin is said, and FaceNet's `embedder.layer`, which is `last_linear` where its output is. The precision of the
numbers, with which the texts of earlier versions end, is none of it: it moves no error (`docs/faces.md`).
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, takewhile

from vec2uage.base.errors import UserError

log = logging.getLogger(__name__)

UNKNOWN = "unknown"
"""The encoder of vectors of which nobody said what made them."""
_NOT_KNOWN = (UNKNOWN, "", "none", "null", "nan", "?")  # as programs write it; no network is called so
_TAKEN_BY = {
    "facenet-": ("embedder.adapter", "embedder.normalize", "embedder.output", "embedder.layer"),
    "dlib-resnet-": ("embedder.align",),
}
"""By how a network's name begins: the options that follow it, in order."""
_PRECISION = re.compile(r"/(bf16|float32)$")
_FILE_NAME = re.compile(r"(?<=^facenet-).+-(?=[0-9a-f]{8}$)")
_BEFORE_KEY = re.compile(r"/(?=(?:detector|crop)(?:\.\w+)?:)")
_UNSAID = {"crop.margin": ("crop.align", "box"), "embedder.output": ("embedder.layer", "last_linear")}
"""By option: what goes without saying where it is known, as in texts of earlier versions, which had nothing else."""
_AND = "+"
"""Joins the values of an option that is not the same for all vectors of a set."""


@dataclass(frozen=True)
class Encoder:
    """A network, and by key the options with which faces come to it; None or left out where it is not known."""

    network: str | None
    options: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def parse(text: str) -> "Encoder":
        """Read what `str` gives, what earlier versions wrote, or a name of one's own."""
        first, *keyed = _BEFORE_KEY.split(text.strip())
        first = _PRECISION.sub("", first)
        network, *values = first.split("/")
        keys = _taken_by(network)
        if len(values) > len(keys):
            network, values = first, []
        options = dict(zip(keys, values, strict=False)) | dict(option.split(":", 1) for option in keyed)
        options = dict(unsaid for said, unsaid in _UNSAID.items() if said in options) | options
        return Encoder(None if network.casefold() in _NOT_KNOWN else network, options)

    def __str__(self) -> str:
        said = {key: value for key, value in self.options.items() if (key, value) not in _UNSAID.values()}
        keys = _taken_by(self.network or UNKNOWN)
        placed = [said[key] for key in takewhile(said.__contains__, keys)]
        keyed = [f"{key}:{value}" for key, value in sorted(said.items()) if key not in keys]
        return "/".join([self.network or UNKNOWN, *placed, *keyed])

    def with_options(self, options: Mapping[str, str]) -> "Encoder":
        """Return this encoder with more options known."""
        return replace(self, options={**self.options, **options})


@dataclass(frozen=True)
class Difference:
    """An option, or the `network`, in which an encoder may not be the one that is wanted; None where not known."""

    option: str
    wanted: str | None
    given: str | None

    @property
    def is_known(self) -> bool:
        """Tell whether both values are known."""
        return self.wanted is not None and self.given is not None

    @property
    def matters(self) -> bool:
        """Tell whether a model of `wanted` is wrong for any of `given`, as far as known."""
        return self.is_known and not all(
            any(_is_near(self.option, wanted, given) for wanted in _values(self.wanted))
            for given in _values(self.given)
        )


def _is_near(option: str, wanted: str, given: str) -> bool:
    """Tell whether a model of the one value errs less than 0.2 years more on the other (see `docs/faces.md`)."""
    if wanted == given:
        return True
    try:
        if option == "crop.margin":
            sides = zip(_margins(wanted), _margins(given), strict=True)
            return all(abs(here - there) <= 0.051 for here, there in sides)  # 0.05, however it is rounded
        if option == "crop.size":
            return all(value == "null" or int(value) >= 112 for value in (wanted, given))
    except ValueError:
        return False
    return option.startswith("detector.")


def _margins(typed: str) -> list[float]:
    """Return the margins of the four sides; one number is that of all."""
    numbers = [float(number) for number in typed.strip("[]").split(",")]
    return numbers * 4 if len(numbers) == 1 else numbers


def differences(wanted: str, given: str) -> list[Difference]:
    """Return in what vectors of the encoder `given` are, or may be, none of `wanted`; nothing where all of them are.

    Beside another network, or one that is not known, nothing else counts; beside another detector no setting of it.
    """
    one, other = Encoder.parse(wanted), Encoder.parse(given)
    if one.network is None or other.network is None or _weights(one.network) != _weights(other.network):
        return [Difference("network", one.network, other.network)]
    pairs = {key: (one.options.get(key), other.options.get(key)) for key in [*one.options, *other.options]}
    found = {
        key: Difference(key, here, there)
        for key, (here, there) in pairs.items()
        if here is None or there is None or not _values(there) <= _values(here)
    }
    return [difference for key, difference in found.items() if _of_what(key) not in found]


def distinct(encoders: Sequence[str]) -> list[str]:
    """Return those that are known to differ from each other; of texts that say more or less of one, the first."""
    found: list[str] = []
    for encoder in encoders:
        both_ways = ([*differences(earlier, encoder), *differences(encoder, earlier)] for earlier in found)
        if all(any(difference.is_known for difference in some) for some in both_ways):
            found.append(encoder)
    return found


def check(wanted: str, given: str, names: tuple[str, str], advice: str, allow: bool = False) -> None:
    """Refuse vectors for which a model of others is wrong; warn where it is less good, or nobody can tell.

    `names` are what messages call the one with each encoder. Raises UserError, which ends in `advice`, unless `allow`.
    """
    found = differences(wanted, given)

    def values(of: Difference) -> str:
        if of.wanted is None and of.given is None:
            return "not known of either"
        return f"{names[0]}: {of.wanted or 'not known'}, {names[1]}: {of.given or 'not known'}"

    def listed(some: Sequence[Difference]) -> str:
        return "; ".join(f"{difference.option} ({values(difference)})" for difference in some)

    if wrong := [difference for difference in found if difference.matters]:
        text = f"{names[0]} and {names[1]} are of different encoders: {listed(wrong)}"
        if not allow:
            raise UserError(f"{text}: {advice}")
        log.warning("%s", text)
    if little := [difference for difference in found if difference.is_known and not difference.matters]:
        log.warning("%s and %s found or cut out faces a little differently: %s", *names, listed(little))
    if unsure := [difference for difference in found if not difference.is_known]:
        log.warning("cannot tell whether %s and %s are of one encoder: %s", *names, listed(unsure))


def check_mergeable(encoders: Sequence[str]) -> None:
    """Raise UserError unless all are known to be of one network, which takes crops in one way as far as known."""
    if any(Encoder.parse(encoder).network is None for encoder in encoders):
        raise UserError("vectors of an unknown encoder cannot be merged: name it with the option encoder")
    for one, other in combinations(dict.fromkeys(encoders), 2):
        for found in differences(one, other):
            if found.is_known and (found.option == "network" or _of_what(found.option) == "network"):
                what = "" if found.option == "network" else f"{found.option} "
                both = ", ".join(sorted([str(found.wanted), str(found.given)]))
                raise UserError(f"vectors of different encoders cannot be merged: {what}{both}; embed all in one way")


def merged(encoders: Sequence[str]) -> str:
    """Return the encoder of vectors that are put together: of each option that is known of all, all values.

    Raises what `check_mergeable` does; warns where faces were not found or cut out in one way, or nobody can tell.
    """
    check_mergeable(encoders)
    parsed = [Encoder.parse(encoder) for encoder in encoders]
    values = {key: [encoder.options.get(key) for encoder in parsed] for one in parsed for key in one.options}
    mixed = {key: dict.fromkeys(of) for key, of in values.items() if len(set(of)) > 1}
    if not mixed:
        return encoders[0]
    listed = "; ".join(
        f"{key} ({', '.join(value or 'not known' for value in of)})"
        for key, of in mixed.items()
        if _of_what(key) not in mixed
    )
    log.warning("vectors are put together whose faces may not have been found and cut out in one way: %s", listed)
    joined = {
        key: _AND.join(sorted(set[str]().union(*map(_values, of)))) for key, of in values.items() if None not in of
    }
    return str(Encoder(parsed[0].network, joined))


def completed(stated: str, stored: str) -> str | None:
    """Return an encoder with what only one of two texts about it says; None where they contradict each other."""
    if any(difference.is_known for difference in differences(stored, stated)):
        return None
    said, known = Encoder.parse(stated), Encoder.parse(stored)
    if known.network is not None and said.options.keys() <= known.options.keys():
        return stored
    return str(Encoder(known.network or said.network, {**said.options, **known.options}))


def _weights(network: str) -> str:
    """Return what two names of a network have in common: for FaceNet's the digest of the file, which is last."""
    return _FILE_NAME.sub("", network)


def _taken_by(network: str) -> tuple[str, ...]:
    return next((keys for prefix, keys in _TAKEN_BY.items() if network.startswith(prefix)), ())


def _of_what(key: str) -> str:
    """Return the key of what an option is a setting of, "" for what stands alone."""
    group, dot, _ = key.partition(".")
    return "network" if group == "embedder" else group if dot else ""


def _values(value: str | None) -> set[str]:
    return set() if value is None else set(value.split(_AND))
