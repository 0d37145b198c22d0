"""What is seen while the runs of a sweep train: one live bar over all epochs on a terminal, plain lines elsewhere."""

import threading
import time
from collections.abc import Sequence
from types import TracebackType

from vec2uage.base.progress import Progress
from vec2uage.runs.result import RunResult
from vec2uage.sweep.grouping import Job
from vec2uage.training.outcome import Epoch


class Display:
    """Counts epochs of all runs; may be told of them from several threads."""

    def __init__(self, jobs: Sequence[Job], until: int | None = None) -> None:
        """Count to the last epoch of every job, or to epoch `until`, where runs pause."""
        self._jobs = len(jobs)
        most = {job: job.settings.trainer.max_epochs for job in jobs}
        self._most = most if until is None else {job: min(until, epochs) for job, epochs in most.items()}
        self._progress = Progress(sum(self._most.values()), "epoch", "train")
        self._epochs = dict.fromkeys(jobs, 0)
        self._ended = 0
        self._samples = 0
        self._best_val_mae = float("inf")
        self._began = time.perf_counter()
        self._lock = threading.Lock()

    def epoch(self, job: Job, epoch: Epoch, samples: int) -> None:
        """Show that a run has finished an epoch over `samples` rows."""
        with self._lock:
            self._epochs[job] += 1
            self._samples += samples
            self._best_val_mae = min(self._best_val_mae, epoch.scores["validation/mae"])
            rate = self._samples / (time.perf_counter() - self._began)
            runs = {"runs": f"{self._ended}/{self._jobs}"} if self._jobs > 1 else {}
            self._progress.note(**runs, best_val_mae=f"{self._best_val_mae:.3f}", samples_per_s=f"{rate:,.0f}")
            self._progress.advance()
            if self._jobs == 1 and not self._progress.is_terminal:
                train, validation = (
                    [epoch.scores[f"{part}/{name}"] for name in ("loss", "mae")] for part in ("train", "validation")
                )
                self._progress.line(
                    f"epoch {epoch.number:3d}  lr {epoch.lr:.3g}  loss {train[0]:.4f} / {validation[0]:.4f}  "
                    f"mae {train[1]:.3f} / {validation[1]:.3f} (train / validation)"
                )

    def end(self, job: Job, result: RunResult) -> None:
        """Show that a run has ended, but not why: a reason stands once, at the end of the sweep.

        Nor how it did on the test faces, by which nobody should choose. Epochs it did not need count as done.
        """
        with self._lock:
            self._ended += 1
            self._advance(job)
            if self._jobs > 1 and (result.status != "completed" or not self._progress.is_terminal):
                self._progress.line(f"[{self._ended}/{self._jobs}] {result.name}: {_outcome(result)}")

    def pause(self, job: Job) -> None:
        """Show that a run has had the epochs that it was to have for now."""
        with self._lock:
            self._advance(job)

    def _advance(self, job: Job) -> None:
        self._progress.advance(self._most[job] - self._epochs[job])
        self._epochs[job] = self._most[job]

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)


def _outcome(result: RunResult) -> str:
    validation = result.scores.get("validation/mae")
    if validation is None:
        return result.status
    at_epoch = "" if result.best_epoch is None else f" at epoch {result.best_epoch}"
    return f"{result.status}, mae {validation:.3f} validation{at_epoch}"
