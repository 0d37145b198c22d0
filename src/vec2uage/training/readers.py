"""How the files of models are read: by their suffix, whole as their run wrote them, and running nothing of them."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.config.trust import check_trusted
from vec2uage.config.validate import refuse
from vec2uage.runs.folder import RunFolder
from vec2uage.training import model_file
from vec2uage.training.config_groups import check_head, check_model
from vec2uage.training.heads.base import Head
from vec2uage.training.learners import sklearn
from vec2uage.training.outcome import Model

log = logging.getLogger(__name__)

_CHECKS: dict[str, Callable[[Any, str, list[str]], Any]] = {"model": check_model, "head": check_head}


@dataclass(frozen=True)
class Configured:
    """What the configuration of a run says, for the classes that a file names and that are not built on its word."""

    config: Mapping[str, Any]
    """By config group."""
    where: str
    """What messages call it."""
    trust_code: bool
    """Whether classes of the user's own may be imported."""

    def build(self, groups: Mapping[str, str]) -> dict[str, Component | Head]:
        """Return what it says of some config groups; UserError where it names what may not be, or cannot be, built."""
        check_trusted([self.config.get(group) for group in groups], self.where, self.trust_code)
        problems: list[str] = []
        built = {group: _CHECKS[group](self.config.get(group), group, problems) for group in groups}
        refuse([f"{self.where}: {problem}" for problem in problems])
        return built


@runtime_checkable
class Reader(Protocol):
    """Reads the model files of one kind."""

    def untrusted_classes(self, path: Traversable) -> dict[str, str]:
        """Return the classes that a file names and that are not built on its word alone, by config group."""

    def open(self, path: Traversable, configured: Callable[[], Configured] | None) -> Model:
        """Read a file; `configured` tells how the run is in whose folder it lies, None where it lies elsewhere.

        Raises UserError for a file that is missing, damaged or of another kind, or of which something cannot be built.
        """


@dataclass(frozen=True)
class RunReader:
    """Reads the models that one learner has trained."""

    untrusted_classes: Callable[[Traversable], dict[str, str]]
    load: Callable[..., Model]
    """Reads a file, given what the configuration of its run says of each of these groups, by keyword."""

    def open(self, path: Traversable, configured: Callable[[], Configured] | None) -> Model:
        """Read a file (see `Reader.open`)."""
        classes = self.untrusted_classes(path)
        if not classes:
            return self.load(path)
        if configured is None:
            raise UserError(
                f"{path} holds a {' and a '.join(classes.values())}: it can be built in its run folder only, as "
                "config.yaml says there"
            )
        return self.load(path, **configured().build(classes))


RUN_READERS: Mapping[str, RunReader] = {
    model_file.NetworkModel.suffix: RunReader(model_file.untrusted_classes, model_file.load),
    sklearn.SklearnModel.suffix: RunReader(sklearn.untrusted_classes, sklearn.load),
}
"""By the suffix of a file."""


def open_file(reader: Reader, path: Path, trust_code: bool) -> Model:
    """Read a model, in the folder of its run as that is configured.

    A class of the user's own is built as the config.yaml beside the file says, which imports the module it names: only
    with `trust_code`. Raises UserError as `Reader.open` does, and for a file that is not the one of which the
    result.json beside it speaks.
    """
    _check_unchanged(path)
    folder = RunFolder(path.parent)
    return reader.open(path, partial(configured_in, folder, trust_code) if folder.config.is_file() else None)


def configured_in(folder: RunFolder, trust_code: bool) -> Configured:
    """Return how the run in a folder is configured; UserError where that cannot be read."""
    return Configured(folder.read_config(), str(folder.config), trust_code)


def _check_unchanged(path: Path) -> None:
    """Raise UserError where a run says that its model was another file; warn where its result cannot be read."""
    folder = RunFolder(path.parent)
    if not path.is_file() or not folder.result.is_file():
        return
    try:
        result = folder.read_result()
    except UserError as error:
        log.warning("it is not known whether %s is as its run wrote it: %s", path, error)
        return
    if path.name in result.files and not folder.is_as_written(path, result):
        raise UserError(
            f"{path} is not the file that {folder.result.name} beside it speaks of: it is damaged or of another run; "
            "train the run again, or put the file into a folder of its own"
        )
