"""The folder of one run: what its files are called, how they are written, and who may use it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import yaml
from jaxtyping import Bool, Real

from vec2uage.base.access import open_to_write
from vec2uage.base.atomic import remove_unfinished, write_last
from vec2uage.base.csv_file import write_csv
from vec2uage.base.errors import UserError
from vec2uage.base.lock import Busy, lock
from vec2uage.base.manifest import changed_files, file_hashes
from vec2uage.predictions.base import Prediction
from vec2uage.predictions.minors import boundary, p_minor
from vec2uage.runs.result import Damaged, RunResult

_LARGEST_CONFIG = 1 << 18  # bytes; that of a run has about 3,000
MODEL_SUFFIXES = (".safetensors", ".skops", ".stack")
"""Of networks, of scikit-learn's models, and of stacks of both."""


@dataclass(frozen=True)
class RunFolder:
    """The files of the run in the folder `path`."""

    path: Path

    @property
    def result(self) -> Path:
        """The run's outcome and manifest (`RunResult`); written last: where it is, the run has ended."""
        return self.path / "result.json"

    @property
    def metrics(self) -> Path:
        """One row an epoch (`runs.metrics_log`); a run without epochs has none."""
        return self.path / "metrics.csv"

    @property
    def checkpoint(self) -> Path:
        """What a run that has not ended goes on from (`training.checkpoint`); deleted with its end."""
        return self.path / "checkpoint.safetensors"

    @property
    def model(self) -> Path:
        """The model of the best epoch, with what is needed to use it alone: the file that is there, if one is."""
        return next((path for path in self._models if path.is_file()), self._models[0])

    def model_of(self, suffix: str) -> Path:
        """Where a model lies whose kind of file has this suffix."""
        return self.path / f"best{suffix}"

    @property
    def _models(self) -> list[Path]:
        return [self.model_of(suffix) for suffix in MODEL_SUFFIXES]

    @property
    def encoder(self) -> Path:
        """The encoder of whose vectors the model is, where the run has tuned one (`tuning.encoder_file`)."""
        return self.path / "encoder.safetensors"

    @property
    def card(self) -> Path:
        """What that encoder was tuned on and is for, to read (`tuning.card`)."""
        return self.path / "encoder.md"

    @property
    def predictions(self) -> Path:
        """The test set's ages, and what the model says of them."""
        return self.path / "predictions.csv"

    @property
    def data(self) -> Path:
        """How many faces of which kind the run was trained, validated and tested on."""
        return self.path / "data.csv"

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def overrides(self) -> Path:
        """The options that were set, as they were typed."""
        return self.path / "overrides.yaml"

    @property
    def lr_range_test_csv(self) -> Path:
        """The curve of the learning rate range test as numbers."""
        return self.path / "lr_range_test.csv"

    @property
    def lr_range_test_png(self) -> Path:
        """The curve of the learning rate range test as a plot."""
        return self.path / "lr_range_test.png"

    def write_result(self, result: RunResult) -> None:
        """Note in `result.files` what the run has written, and write `result.json` once all of that is on the disk."""
        apart = (self.result, self.checkpoint)
        names = [path.name for path in self._written if path not in apart and path.is_file()]
        result.files = file_hashes(self.path, names)
        write_last(self.result, result.to_json(), names)

    def changed_files(self, result: RunResult) -> list[str]:
        """Return the names of the files of an ended run that are gone, or no longer as `result` says they were written.

        Every byte is read: a millisecond for a run of the paper's network.
        """
        return changed_files(self.path, result.files)

    def is_as_written(self, path: Path, result: RunResult) -> bool:
        """Tell whether a file of the folder is the one that the run of `result` wrote."""
        sha256 = result.files.get(path.name)
        return sha256 is not None and not changed_files(self.path, {path.name: sha256})

    def read_result(self) -> RunResult:
        """Read `result.json`; UserError with the reason if it is missing, unreadable or old, else Damaged."""
        try:
            text = self.result.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"{self.path}: no result.json, so no run has ended in this folder") from None
        except OSError as error:
            raise UserError(f"{self.result}: unreadable: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise Damaged(f"{self.result}: unreadable: {error}") from None
        try:
            return RunResult.from_json(text)
        except UserError as error:
            raise type(error)(f"{self.result}: {error}") from None

    def read_config(self) -> dict[str, Any]:
        """Read the resolved config; UserError where it is missing, or not what a run writes.

        Nothing in it is imported, and it is bounded in what it unfolds to: a run writes no aliases.
        """
        try:
            if self.config.stat().st_size > _LARGEST_CONFIG:
                raise ValueError("too large")
            config = yaml.load(self.config.read_text(encoding="utf-8"), _WithoutAliases)
        except OSError as error:
            raise UserError(f"{self.config}: {error.strerror}") from None
        except (yaml.YAMLError, ValueError, RecursionError):
            config = None
        if not isinstance(config, dict):
            raise UserError(f"{self.config}: not the configuration of a run")
        return config

    def write_predictions(
        self,
        names: Sequence[str] | np.ndarray,
        subjects: Sequence[str] | np.ndarray,
        ages: Real[np.ndarray, " N"],
        prediction: Prediction,
        flagged: Bool[np.ndarray, " N"] | None = None,
    ) -> None:
        """Write `predictions.csv` (name, subject, age, and the prediction's own columns; years), atomically.

        Of predictions that say how sure they are, it also has what judges them: `pit`, `crps` and `p_minor`. Last comes
        `flagged`, 1 for a face that is flagged as a minor's, where that is told.
        Numbers are the shortest that read back as the same value of their own precision.
        """
        columns = {"age": ages, **prediction.columns()}
        if prediction.has_spread:
            columns["pit"], columns["crps"] = prediction.pit(ages), prediction.crps(ages)
            columns["p_minor"] = p_minor(prediction, boundary(ages))
        if flagged is not None:
            columns["flagged"] = flagged.astype(int)
        rows = zip(names, subjects, *(map(str, column) for column in columns.values()), strict=True)
        write_csv(self.predictions, ("name", "subject", *columns), rows)

    def write_data(self, row_counts: Sequence[tuple[str, str, str, str, int, int]]) -> None:
        """Write `data.csv`: how many faces there are of each part, kind, source, gender and whole age (years)."""
        write_csv(self.data, ("part", "kind", "source", "gender", "age", "faces"), row_counts)

    def check_free(self) -> None:
        """Raise Busy if another process is training the run of this folder."""
        for path in (self.metrics, self.config):
            if path.exists():
                with open_to_write(path, "ab") as file:
                    lock(file, self.path)

    def in_the_way(self) -> Path | None:
        """Return a folder that lies where a run has a file, None for none."""
        return next((path for path in self._written if path.is_dir()), None)

    def occupy(self) -> IO[bytes]:
        """Keep other processes out of the folder of a run without `metrics.csv`, until what is returned is closed."""
        file = open_to_write(self.config, "ab")
        try:
            lock(file, self.path)
        except Busy:
            file.close()
            raise
        return file

    def check_in_place(self, held: IO[bytes]) -> None:
        """Raise UserError where this is no longer the folder that a run began in, with its configuration.

        `held` is the file that the run has had open there since.
        """
        try:
            there = Path(held.name).stat()
            is_there = os.path.samestat(os.fstat(held.fileno()), there) and self.config.is_file()
        except (FileNotFoundError, NotADirectoryError):
            is_there = False
        if not is_there:
            raise UserError(f"{self.path} was deleted, moved or replaced while its run was trained: train it again")

    def clear_end(self) -> None:
        """Delete what a run writes at its end; the result first, as it speaks for the rest."""
        for path in self._written_at_end:
            path.unlink(missing_ok=True)

    def clear_unfinished(self) -> None:
        """Delete the unfinished files that a killed process has left; nobody may be writing to the folder."""
        if any(path.name.startswith(".") for path in self.path.iterdir()):
            for path in self._written:
                remove_unfinished(path)

    @property
    def _written_at_end(self) -> tuple[Path, ...]:
        curve = self.lr_range_test_csv, self.lr_range_test_png
        return self.result, *self._models, self.encoder, self.card, self.predictions, self.data, *curve

    @property
    def _written(self) -> tuple[Path, ...]:
        """All that a run writes, but for TensorBoard's files."""
        return *self._written_at_end, self.checkpoint, self.metrics, self.config, self.overrides

    def clear(self) -> None:
        """Delete all files a run writes, and no others."""
        self.clear_events()
        for path in self._written:
            path.unlink(missing_ok=True)

    def clear_events(self) -> None:
        """Delete all of TensorBoard's files."""
        for path in self.path.glob("events.out.tfevents.*"):
            path.unlink()


class _WithoutAliases(yaml.SafeLoader):
    """Reads YAML in which nothing stands for something else: a few lines of such could unfold without end."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)
