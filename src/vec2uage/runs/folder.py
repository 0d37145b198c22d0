"""The folder of one run: what its files are called, how they are written, and who may use it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Real

from vec2uage.base.atomic import replacing, write_text
from vec2uage.base.errors import UserError
from vec2uage.runs.result import RunResult


@dataclass(frozen=True)
class RunFolder:
    """The files of the run in the folder `path`."""

    path: Path

    @property
    def result(self) -> Path:
        """The run's outcome (`RunResult`); written last, so that its presence means the run has ended."""
        return self.path / "result.json"

    @property
    def metrics(self) -> Path:
        """One row an epoch (`MetricsLog`)."""
        return self.path / "metrics.csv"

    @property
    def checkpoint(self) -> Path:
        """The model of the best epoch, with what is needed to use it alone."""
        return self.path / "best.safetensors"

    @property
    def predictions(self) -> Path:
        """The test set's ages and predictions."""
        return self.path / "predictions.csv"

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
        """Write `result.json`, atomically."""
        write_text(self.result, result.to_json())

    def read_result(self) -> RunResult:
        """Read `result.json`; raises UserError with the reason if it is missing or damaged."""
        try:
            text = self.result.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UserError(f"{self.path}: no result.json, so no run has ended in this folder") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self.result}: unreadable: {error}") from None
        try:
            return RunResult.from_json(text)
        except UserError as error:
            raise UserError(f"{self.result}: {error}") from None

    def write_predictions(
        self,
        names: Sequence[str] | np.ndarray,
        subjects: Sequence[str] | np.ndarray,
        ages: Real[np.ndarray, " N"],
        predictions: Real[np.ndarray, " N"],
    ) -> None:
        """Write `predictions.csv` (name, subject, age, prediction; years), atomically.

        Numbers are the shortest that read back as the same value of their own precision.
        """
        with (
            replacing(self.predictions) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as stream,
        ):
            writer = csv.writer(stream)
            writer.writerow(("name", "subject", "age", "prediction"))
            writer.writerows(zip(names, subjects, map(str, ages), map(str, predictions), strict=True))

    def clear(self) -> None:
        """Delete the files a run writes, and no others; the result first, as it vouches for the rest."""
        known = (
            self.result,
            self.metrics,
            self.checkpoint,
            self.predictions,
            self.config,
            self.overrides,
            self.lr_range_test_csv,
            self.lr_range_test_png,
        )
        for path in (*known, *self.path.glob("events.out.tfevents.*")):
            path.unlink(missing_ok=True)


class MetricsLog:
    """Appends rows to a `metrics.csv`: header once, every row on disk at once, numbers in full precision."""

    COLUMNS = ("epoch", "lr", "train_loss", "val_loss", "train_mae", "val_mae")

    def __init__(self, path: Path) -> None:
        self._stream = path.open("a", newline="", encoding="utf-8")
        if self._stream.tell() == 0:
            self._write(*self.COLUMNS)

    def append(
        self, *, epoch: int, lr: float, train_loss: float, val_loss: float, train_mae: float, val_mae: float
    ) -> None:
        """Append one epoch: MAE in years, losses in the unit of the loss."""
        numbers = (lr, train_loss, val_loss, train_mae, val_mae)
        self._write(str(epoch), *(repr(float(number)) for number in numbers))

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _write(self, *fields: str) -> None:
        self._stream.write(",".join(fields) + "\n")
        self._stream.flush()

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def claim(path: Path, config_hash: str, code: str, overwrite: bool) -> RunResult | None:
    """Make the folder `path` ready for the run of `config_hash` by the code `code`, or say it is done.

    Returns None if the folder is free now: new, or cleared of a run that failed, was interrupted or never
    ended, or of any run if `overwrite`. Returns the result if the same config and code have completed or
    diverged here: nothing is left to do. Files that no run writes are never touched.

    Raises UserError if another config or code has completed or diverged here, if the result cannot be read,
    or if `path` is not a folder.
    """
    folder = RunFolder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{path} cannot be a run folder because a file is in the way") from None
    if folder.result.exists() and not overwrite:
        try:
            result = folder.read_result()
        except UserError as error:
            raise UserError(f"{error}; overwrite=true trains anew") from None
        if result.status in ("completed", "diverged"):
            changed = [
                what
                for what, old, new in (
                    ("config", result.config_hash, config_hash),
                    ("code", result.code, code),
                )
                if old != new
            ]
            if changed:
                raise UserError(
                    f"{path} holds a {result.status} run of a different {' and '.join(changed)}; "
                    "overwrite=true trains anew"
                )
            return result
    folder.clear()
    return None
