"""A stack of models in one file: those of its members as their runs wrote them, and what each of them counts."""

import hashlib
import io
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, ClassVar
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo
from zipfile import Path as ZipPath

import numpy as np
from jaxtyping import Float
from pydantic import Field, TypeAdapter, ValidationError

from vec2uage.base.atomic import json_text, replacing
from vec2uage.base.digest import with_digest, without_digest
from vec2uage.base.errors import UserError
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.weighted import mix_weighted, widened
from vec2uage.training.outcome import Model
from vec2uage.training.readers import RUN_READERS, Configured

_FORMAT = "vec2uage-stack-1"
_DESCRIPTION = "stack.json"
_LARGEST_DESCRIPTION = 1 << 23  # bytes; that of ten members has about three thousand
_ROUNDING = 1e-6  # of a sum of weights
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip archive knows


@dataclass(frozen=True)
class ModelFile:
    """The model of a run: the bytes of its file, and what is read from them."""

    content: bytes
    suffix: str
    model: Model
    config: Mapping[str, Any] | None = None
    """What its run says of classes that are not built on the word of a file, by config group; None where none is."""

    @cached_property
    def sha256(self) -> str:
        """Of the bytes."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Member:
    """One model of a stack, or several that differ in their seed alone and say one thing together."""

    files: tuple[ModelFile, ...]
    weight: float
    spread: float | None
    """The deviation, in years, of the normal distribution that is made of its points; None where it gives none."""

    @cached_property
    def model(self) -> Model:
        """All of them as one."""
        first, *others = (file.model for file in self.files)
        return first.joined(others) if others else first

    def predict(self, vectors: Float[np.ndarray, "N D"]) -> Prediction:
        """Return what it says of N faces."""
        return widened(self.model.predict(vectors), self.spread)


@dataclass(frozen=True)
class StackingModel:
    """Models for the same vectors, each with its normalisation: what they say is mixed by their weights."""

    members: tuple[Member, ...]
    """Those whose weight is above 0."""
    encoder: str
    calibration: Mapping[str, Any] | None = None
    suffix: ClassVar[str] = ".stack"

    @property
    def dimension(self) -> int:
        return self.members[0].model.dimension

    def predict(self, vectors: Float[np.ndarray, "N D"]) -> Prediction:
        predictions = [member.predict(vectors) for member in self.members]
        return mix_weighted(predictions, [member.weight for member in self.members])

    def traits(self) -> dict[str, str]:
        return {"model": "stack", "vectors": f"{self.dimension} numbers", "encoder": self.encoder}

    def joined(self, others: Sequence[Model]) -> "StackingModel":
        stacks = [self, *(other for other in others if isinstance(other, StackingModel))]
        members = [replace(m, weight=m.weight / len(stacks)) for stack in stacks for m in stack.members]
        return replace(self, members=tuple(members))

    @cached_property
    def digest(self) -> str:
        of_members = [[[f.sha256 for f in m.files], m.weight, m.spread] for m in self.members]
        return hashlib.sha256(json_text(of_members).encode()).hexdigest()

    def save(self, path: Path, calibration: Mapping[str, Any] | None = None) -> None:
        files = [file for member in self.members for file in member.files]
        names = iter([f"{number}{file.suffix}" for number, file in enumerate(files)])
        description = {
            "format": _FORMAT,
            "dimension": self.dimension,
            "encoder": self.encoder,
            "members": [
                {
                    "files": [{"name": next(names), "config": file.config} for file in member.files],
                    "weight": member.weight,
                    "spread": member.spread,
                }
                for member in self.members
            ],
            "calibration": None if calibration is None else dict(calibration),
        }
        text = json_text(with_digest(description, _digest([file.content for file in files])))
        with replacing(path) as temporary, ZipFile(temporary, "w", ZIP_STORED) as archive:
            for number, file in enumerate(files):
                archive.writestr(ZipInfo(f"{number}{file.suffix}", _LONG_AGO), file.content)
            archive.writestr(ZipInfo(_DESCRIPTION, _LONG_AGO), text)


class StackingReader:
    """Reads what `StackingModel.save` wrote; nothing in it is run, and its members are read as files of theirs are."""

    def untrusted_classes(self, path: Traversable) -> dict[str, str]:
        """Return the classes that a member names and that are not built on its word alone, by config group."""
        archive, description = _read(path)
        found: dict[str, str] = {}
        for named in _files(description):
            found = RUN_READERS[Path(named.name).suffix].untrusted_classes(ZipPath(archive, named.name)) | found
        return found

    def open(self, path: Traversable, configured: Callable[[], Configured] | None) -> StackingModel:
        """Read a file; what a member's run said of classes of its own counts within the stack's run folder only."""
        archive, description = _read(path)

        def file(named: _File) -> ModelFile:
            member, suffix = ZipPath(archive, named.name), Path(named.name).suffix
            of_run = None
            if configured is not None and named.config is not None:
                of_run = partial(Configured, named.config, str(member), configured().trust_code)
            model = RUN_READERS[suffix].open(member, of_run)
            if (model.dimension, model.encoder) != (description.dimension, description.encoder):
                raise UserError(f"{member} is for other vectors than the stack that it is a member of")
            return ModelFile(archive.read(named.name), suffix, model, named.config)

        members = [Member(tuple(map(file, m.files)), m.weight, m.spread) for m in description.members]
        for member in members:
            if any(each.model.traits() != member.files[0].model.traits() for each in member.files):
                raise UserError(f"{path} is damaged: models that count as one member are not alike")
        return StackingModel(tuple(members), description.encoder, description.calibration)


@dataclass(frozen=True)
class _File:
    """A member's file within a stack's; from a file, so checked before it is used."""

    name: Annotated[str, Field(pattern=r"^\d{1,6}\.(safetensors|skops)$")]
    config: dict[str, Any] | None


@dataclass(frozen=True)
class _Member:
    files: Annotated[tuple[_File, ...], Field(min_length=1)]
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    spread: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None


@dataclass(frozen=True)
class _Description:
    format: str
    dimension: Annotated[int, Field(strict=True, ge=1)]
    encoder: str
    members: Annotated[tuple[_Member, ...], Field(min_length=1)]
    calibration: dict[str, Any] | None


def _files(description: _Description) -> list[_File]:
    return [file for member in description.members for file in member.files]


def _read(path: Traversable) -> tuple[ZipFile, _Description]:
    """Return a file as an archive in memory, whose every byte is as it was written, and what it says of itself."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        data = path.read_bytes()
        archive = ZipFile(io.BytesIO(data))
        archive.filename = str(path)  # so that messages about what is in it name it
        _check_size(archive, len(data))
        plain = json.loads(archive.read(_DESCRIPTION))
        if isinstance(plain, dict) and plain.get("format") != _FORMAT:
            raise ValueError(f"it does not say {_FORMAT}, so that another version of vec2uage or program wrote it")
        description = TypeAdapter(_Description).validate_python(plain)
        if abs(sum(member.weight for member in description.members) - 1) > _ROUNDING:
            raise ValueError("the weights of its members are not 1 in sum")
        contained = [file.name for file in _files(description)]
        if sorted(archive.namelist()) != sorted([*contained, _DESCRIPTION]):
            raise ValueError("it holds other files than it says")
        without_digest(plain, _digest([archive.read(name) for name in contained]))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    except (BadZipFile, OSError, LookupError, ValueError, RuntimeError, EOFError, struct.error) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
    else:
        return archive, description
    raise UserError(f"{path} is no readable stack of models: {reason[:200]}")


def _check_size(archive: ZipFile, size: int) -> None:
    """Raise ValueError where an archive would unfold to more than it holds; `save` compresses nothing."""
    members = archive.infolist()
    if any(member.compress_type != ZIP_STORED for member in members):
        raise ValueError("it is compressed")
    if sum(member.file_size for member in members) > size:
        raise ValueError("it is said to hold more than it does")
    if any(member.filename == _DESCRIPTION and member.file_size > _LARGEST_DESCRIPTION for member in members):
        raise ValueError("its description is too large")


def _digest(contents: Sequence[bytes]) -> bytes:
    return b"".join(hashlib.sha256(content).digest() for content in contents)
