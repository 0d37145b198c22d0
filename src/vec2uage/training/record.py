"""What a run leaves behind in its folder: metrics, events, the model, predictions and result.json."""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import IO, Any

from vec2uage.base.atomic import replacing, write_text
from vec2uage.base.errors import UserError
from vec2uage.base.provenance import code_fingerprint, provenance
from vec2uage.runs.folder import RunFolder
from vec2uage.runs.metrics_log import MetricsLog, metrics_digest
from vec2uage.runs.result import RunResult, Status
from vec2uage.runs.tensorboard import EventLog
from vec2uage.runs.variants import split_override
from vec2uage.training.checkpoint import Checkpoint, Header
from vec2uage.training.checkpoint import save as save_checkpoint
from vec2uage.training.data import TrainingData
from vec2uage.training.outcome import Epoch, Outcome
from vec2uage.training.range_test import Curve
from vec2uage.training.run_settings import RunSettings

# Chosen files that TensorBoard shows as hyperparameters.
_GROUPS = (
    "dataset",
    "augmentation",
    "model",
    "head",
    "loss",
    "optimizer",
    "averaging",
    "lr_schedule",
    "lr_finder",
    "early_stopping",
)
_BEST = ("best/validation/mae", "best/train/mae", "best/test/mae")


@dataclass
class Recorder:
    """Writes the folder of the run `name` while it trains; `end` returns what it wrote as result.json."""

    folder: RunFolder
    name: str
    settings: RunSettings
    command: str
    resumed: Header | None = None  # of the checkpoint that the run goes on from

    def __post_init__(self) -> None:
        self._metrics: MetricsLog | None = None  # of what has epochs
        self._occupied: IO[bytes] | None = None  # of what has none
        if self.resumed is not None:
            epochs, self._started = self.resumed.epochs, self.resumed.started
            self._metrics = MetricsLog(self.folder.metrics, epochs)
            self._events = EventLog(self.folder.path, resumed_at=epochs)
            return
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        if self.settings.is_network:
            self._metrics = MetricsLog(self.folder.metrics)
        else:
            self._occupied = self.folder.occupy()
        self.folder.clear_events()
        self._events = EventLog(self.folder.path)
        self._events.hparams(_hparams(self.settings), _BEST, shown=self.settings.swept or ("optimizer", "seed"))

    def epoch(self, epoch: Epoch) -> None:
        """Write one epoch to metrics.csv and TensorBoard."""
        assert self._metrics is not None, "an epoch of a model that has none"
        self._check_in_place()
        self._metrics.append(epoch.number, epoch.lr, epoch.scores)
        self._events.scalars(epoch.number, _finite({**epoch.scores, "lr": epoch.lr}))

    def checkpoint(self, checkpoint: Checkpoint, data: TrainingData) -> None:
        """Write what the run can go on from; its metrics and events of the same epoch must be written before."""
        self._check_in_place()
        header = Header(
            config_hash=self.settings.config_hash,
            code=code_fingerprint(),
            data_fingerprint=data.fingerprint,
            started=self._started,
            epochs=checkpoint.outcome.epochs,
            metrics=metrics_digest(self.folder.metrics, checkpoint.outcome.epochs),
        )
        save_checkpoint(self.folder.checkpoint, checkpoint, header)

    def end(self, outcome: Outcome, data: TrainingData) -> RunResult:
        """Write all that is known at the end of the run, result.json last: a folder that has it is complete.

        Like `epoch` and `checkpoint`, it raises UserError where the run's folder was deleted or replaced meanwhile.
        """
        self._check_in_place()
        if outcome.curve is not None:
            write_curve(self.folder, outcome.curve)
        if outcome.model is not None:
            outcome.model.save(self.folder.model_of(outcome.model.suffix))
        self.folder.write_data([astuple(count) for count in data.row_counts])
        if outcome.prediction is not None:
            ages = data.parts["test"].age.cpu().numpy()
            self.folder.write_predictions(data.test_names, data.test_subjects, ages, outcome.prediction)
        if outcome.scores:
            best = {tag: outcome.scores.get(tag.removeprefix("best/")) for tag in _BEST}
            known = {tag: score for tag, score in best.items() if score is not None}
            self._events.scalars(outcome.best_epoch or 0, known)
        result = self._result(
            status=outcome.status,
            reason=outcome.reason,
            **_trained(outcome),
            data_fingerprint=data.fingerprint,
            encoder=data.encoder,
            members=outcome.members,
        )
        self._check_in_place()
        self.folder.write_result(result)
        try:
            self._check_in_place()
        except UserError:
            self.folder.result.unlink(missing_ok=True)  # it speaks of files that went with the folder
            raise
        self._close(outcome.status)
        if outcome.status != "interrupted":
            self.folder.checkpoint.unlink(missing_ok=True)
        return result

    def prune(self, outcome: Outcome, reason: str) -> RunResult:
        """Write the end of a run that goes on no more from the checkpoint with this outcome, its result.json last."""
        self._check_in_place()
        if outcome.curve is not None:
            write_curve(self.folder, outcome.curve)
        result = self._result(
            status="pruned",
            reason=reason,
            **_trained(outcome),
            data_fingerprint=self.resumed.data_fingerprint if self.resumed else "",
        )
        self.folder.write_result(result)
        self._close("pruned")
        self.folder.checkpoint.unlink(missing_ok=True)
        return result

    def fail(self, reason: str) -> RunResult:
        """Let go of the folder of a run that could not be trained, and return its result."""
        self._close("failed")
        return self._result(status="failed", reason=reason)

    def close(self) -> None:
        """Let go of the folder of a run that will be taken up again."""
        self._close("interrupted")

    def _check_in_place(self) -> None:
        held = self._occupied if self._metrics is None else self._metrics.file
        assert held is not None
        self.folder.check_in_place(held)

    def _close(self, status: Status) -> None:
        for file in (self._metrics, self._occupied):
            if file is not None:
                file.close()
        self._events.close(status)

    def _result(self, **known: Any) -> RunResult:
        return describe(self.name, self.settings, self.command, started=self._started, **known)


def describe(name: str, settings: RunSettings, command: str, **known: Any) -> RunResult:
    """Return a result with all that is known of a run before it is trained, and `known`."""
    return RunResult(
        name=name,
        seed=settings.seed,
        optimizer=settings.choice("optimizer") if settings.is_network else None,
        model=settings.choice("model"),
        dataset=settings.choice("dataset"),
        config_hash=settings.config_hash,
        code=code_fingerprint(),
        command=command,
        overrides=list(settings.overrides),
        choices=settings.used_choices,
        provenance=provenance(),
        **known,
    )


def _trained(outcome: Outcome) -> dict[str, Any]:
    """Return what result.json says of how far a run has trained."""
    return {
        "lr": outcome.lr,
        "epochs": outcome.epochs,
        "best_epoch": outcome.best_epoch,
        "scores": _finite(outcome.scores),
        "seconds": outcome.seconds,
        "parameters": sum(tensor.numel() for tensor in outcome.weights.values()) or None,
    }


def _finite(scores: Mapping[str, float]) -> dict[str, float]:
    return {name: score for name, score in scores.items() if math.isfinite(score)}


def _hparams(settings: RunSettings) -> dict[str, str | float]:
    """What TensorBoard lists for a run; the same keys for all runs of a sweep, or its tab would lose columns."""
    swept = {key: value for key, value in map(split_override, settings.overrides) if key in settings.swept}
    return {
        **{group: "none" if group in settings.unused_groups else settings.choice(group) for group in _GROUPS},
        "seed": settings.seed,
        "optimizer.lr": settings.optimizer.lr if settings.is_network else math.nan,
        "batch_size": settings.trainer.batch_size,
        "max_epochs": settings.trainer.max_epochs,
        "normalization": settings.normalization,
        "precision": settings.trainer.precision,
        **{key: _number(value) for key, value in swept.items() if key not in ("seed", "optimizer.lr", *_GROUPS)},
    }


def _number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def write_curve(folder: RunFolder, curve: Curve) -> None:
    """Write a range test as numbers and as a plot."""
    lines = [
        f"{lr!r},{loss!r},{smoothed!r}"
        for lr, loss, smoothed in zip(curve.lr.tolist(), curve.loss.tolist(), curve.smoothed.tolist(), strict=True)
    ]
    write_text(folder.lr_range_test_csv, "\n".join(["lr,loss,smoothed", *lines]) + "\n")
    with replacing(folder.lr_range_test_png) as temporary:
        plot_curve(curve).savefig(temporary, format="png", dpi=110)


def plot_curve(curve: Curve) -> Any:
    """Return a figure of loss against learning rate with the suggestion marked."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    # Fixed margins and no minor ticks: laying those out took 0.15 s for every run of a sweep.
    figure = Figure(figsize=(5, 3.2))
    figure.subplots_adjust(left=0.13, right=0.97, bottom=0.15, top=0.91)
    axes = figure.add_subplot()
    axes.plot(curve.lr, curve.loss, color="0.75", linewidth=1, label="batch loss")
    axes.plot(curve.lr, curve.smoothed, color="#0072B2", linewidth=1.8, label="smoothed")
    if curve.suggestion is not None:
        axes.axvline(curve.suggestion, color="#D55E00", linestyle="--", label=f"suggestion {curve.suggestion:.3g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", title="learning-rate range test")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.legend(frameon=False, fontsize=8)
    return figure
