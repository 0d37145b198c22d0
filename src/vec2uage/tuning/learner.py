"""The learner of `model=end_to_end`: it makes inputs of crops, and leaves the rest to the trainer of all networks."""

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int

from vec2uage.base.errors import UserError
from vec2uage.config.component import Component
from vec2uage.data.balance import Balance
from vec2uage.data.drawn import Drawing
from vec2uage.data.loading import load_parts
from vec2uage.data.parts import Parts
from vec2uage.faces.embedders.facenet import FaceNet
from vec2uage.faces.embedders.facenet_weights import locate
from vec2uage.faces.embedders.inception import fold
from vec2uage.faces.model_files import sha256
from vec2uage.training import memory, models
from vec2uage.training.averaging.swag import SWAG
from vec2uage.training.checkpoint import Checkpoint
from vec2uage.training.completed_run import CompletedRun
from vec2uage.training.data import TrainingData
from vec2uage.training.learners.base import Observer
from vec2uage.training.learners.stacked_torch import StackedTorch
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.outcome import Outcome
from vec2uage.training.run_settings import RunSettings
from vec2uage.training.stack_check import StackCheck
from vec2uage.training.trainer import train_stack
from vec2uage.tuning import batch_norm
from vec2uage.tuning.activations import ActivationInputs, Frozen, cached
from vec2uage.tuning.crops import find_crops, original
from vec2uage.tuning.described import Described, TunedModel, how_trained, judged
from vec2uage.tuning.encoder_file import TunedEncoder
from vec2uage.tuning.network import ENCODER, REGRESSOR, base_network
from vec2uage.tuning.options import TuningOptions
from vec2uage.tuning.pairs import find_pairs
from vec2uage.tuning.start import check_head, completed_runs, read_model, start_of
from vec2uage.tuning.verification import Verification, told

log = logging.getLogger(__name__)

_NETWORK = "vec2uage.tuning.network.EndToEnd"
_COMPARED = 32  # faces whose vectors are made of their crops before anything is trained
_MEASURED = 64  # faces at a time whose averages are taken
_AWAY = 0.17  # of how far vectors are from their mean: of the last layer as at a cosine of 0.99


class EndToEndLearner:
    """Tunes the encoder of one run at a time."""

    def stack_key(self, run: RunSettings) -> Hashable:
        return StackedTorch().stack_key(run), run.seed

    def check_stackable(self, run: RunSettings, data: TrainingData, device: torch.device) -> StackCheck:
        for option, is_on in (("overfit", run.trainer.overfit), ("calibrate", run.trainer.calibrate)):
            if is_on:
                raise UserError(f"trainer.{option} = true: not with model=end_to_end: leave it out")
        return StackCheck(False, one_thread=True, reason="encoders are tuned one after the other")

    def run_bytes(self, run: RunSettings, data: TrainingData) -> int:
        tuning = _Tuning.of(run, data)
        return memory.run_bytes(tuning.run, tuning.frozen(torch.device("cpu")).shape, len(data.train))

    def steps_per_epoch(self, run: RunSettings, data: TrainingData) -> int:
        return StackedTorch().steps_per_epoch(run, data)

    def warning(self, run: RunSettings, data: TrainingData) -> str:
        return StackedTorch().warning(run, data)

    def made_of(self, run: RunSettings) -> list[str]:
        options: TuningOptions = run.model.build()
        return sorted(start.sha256 for start in completed_runs(options.start))

    def fit(
        self,
        runs: Sequence[RunSettings],
        data: TrainingData,
        device: torch.device,
        observer: Observer,
        checkpoints: Sequence[Checkpoint] = (),
    ) -> None:
        (run,) = runs
        tuning = _Tuning.of(run, data)
        faces = tuning.faces(device)
        observed = Described(observer, faces.about)
        train_stack([tuning.measured(faces.train)], faces, device, observed, checkpoints)


@dataclass(frozen=True)
class TuningFaces:
    """Crops as what the frozen blocks make of them; see `training.data.Faces`."""

    parts: Mapping[str, ActivationInputs]
    tuning: "_Tuning"
    verification: Verification

    @property
    def train(self) -> ActivationInputs:
        return self.parts["train"]

    @property
    def dimension(self) -> int:
        return self.tuning.data.dimension

    def model_of(self, run: RunSettings, members: Tensors) -> TunedModel:
        """Return the regressor of a run, and beside it the encoder that it was trained with."""
        tuned = self.tuning.encoder(
            {n.removeprefix(ENCODER): t[0] for n, t in members.items() if n.startswith(ENCODER)}
        )
        start = read_model(self.tuning.start)
        return TunedModel(
            model=start.model,
            weights={n.removeprefix(REGRESSOR): t for n, t in members.items() if n.startswith(REGRESSOR)},
            dimension=start.dimension,
            normalization=start.normalization,
            encoder=tuned.encoder(self.tuning.data.encoder),
            precision=run.trainer.precision,
            head=run.head,
            tuned=tuned,
        )

    def about(self, tuned: TunedEncoder, outcome: Outcome) -> dict[str, Any]:
        """Return what is to be told of an encoder beside what its file says: how it was tuned, and how well."""
        tuning, verification = self.tuning, self.verification.measure(tuned.weights)
        log.info("%s", told(verification))
        ages = tuning.data.train.age
        return {
            "ages": [float(ages.min()), float(ages.max())],
            "training": how_trained(tuning.run, tuning.options, outcome),
            "scores": {"start": judged(tuning.start.result.scores), "tuned": judged(outcome.scores)},
            "verification": verification,
        }


@dataclass(frozen=True)
class _Tuning:
    """A run with what was found for it: the network it begins from, and the vectors of its faces."""

    run: RunSettings
    """As the trainer takes it: its model is that of `network.EndToEnd`."""
    options: TuningOptions
    data: TrainingData
    face_net: FaceNet
    start: CompletedRun

    @staticmethod
    def of(run: RunSettings, data: TrainingData) -> "_Tuning":
        """Find what a run begins from; UserError where that does not fit its data, head or options."""
        options: TuningOptions = run.model.build()
        if isinstance(run.augmentation, Balance) and run.augmentation.noise:
            raise UserError("augmentation.noise: crops have no noise, as vectors have: set it to 0")
        if isinstance(run.averaging, SWAG):
            raise UserError("averaging=swag draws several networks, and a tuned encoder is one: take swa, ema or none")
        batch_norm.check(options.batch_norm, run, len(data.train))
        face_net = options.face_net(data.encoder)
        if face_net.dimension != data.dimension:
            raise UserError(
                f"FaceNet makes {face_net.dimension} numbers in {face_net.layer}, and these vectors have "
                f"{data.dimension}: name what made them with dataset.encoder"
            )
        parts = load_parts(run.dataset, run.split, run.augmentation, run.split_seed)
        start = start_of(options.start, run, parts)
        check_head(start, read_model(start), run.head)
        network = Component(_NETWORK, (("face_net", face_net), ("options", options), ("start", start.path)))
        return _Tuning(replace(run, model=network), options, data, face_net, start)

    def faces(self, device: torch.device) -> TuningFaces:
        """Return the crops of all parts; UserError where they are not those that the vectors were made of."""
        run, data = self.run, self.data
        parts = load_parts(run.dataset, run.split, run.augmentation, run.split_seed)
        frozen = self.frozen(device)
        place = {name: position for position, name in enumerate(self._names(parts))}
        self._check_alike(frozen, parts, place)
        streamed = self.options.cache is None or not frozen.blocks  # crops themselves are read as fast as a file
        activations = frozen.of if streamed else cached(frozen, Path(str(self.options.cache)))

        def inputs(name: str) -> ActivationInputs:
            positions = [place[original(row)] for row in parts[name].names]
            of_vectors = data.parts[name]
            return ActivationInputs(activations, torch.tensor(positions), of_vectors.age, of_vectors.weight)

        vectors = getattr(run.dataset, "path", None)
        pairs = find_pairs(parts, None if vectors is None else Path(vectors))
        positions = np.array([place[name] for name in pairs.names])
        verification = Verification(pairs, positions, activations, frozen)
        return TuningFaces({name: inputs(name) for name in parts}, self, verification)

    def measured(self, train: ActivationInputs) -> RunSettings:
        """Return the run whose network has the averages of batch norms that its weights' file does not have."""
        if self.options.batch_norm == "folded":
            return self.run
        run, head = self.run, self.run.head
        network = models.build(run.model, self.data.dimension, head.outputs, run.seed, head.tied_outputs)
        network = network.to(train.age.device).eval()
        averages = batch_norm.measured(
            network, network.get_submodule("encoder"), self.face_net, train.blocks(_MEASURED)
        )
        model = replace(run.model, options=(*run.model.options, ("averages", averages)))
        return replace(run, model=model)

    def frozen(self, device: torch.device) -> Frozen:
        """Return the blocks that do not learn, on the crops of all faces."""
        run = self.run
        parts = load_parts(run.dataset, run.split, run.augmentation, run.split_seed)
        drawn = run.augmentation.drawn() if isinstance(run.augmentation, Drawing) else {}
        crops = find_crops(self._folder(), self._names(parts), self.data.encoder, self.face_net, drawn)
        return Frozen(crops, self.options.frozen(self.face_net.layer), device)

    def _names(self, parts: Parts) -> list[str]:
        """Return the names of all faces of a split, each once, sorted: whatever the split, the crops are these."""
        return sorted({original(name) for part in parts.values() for name in part.names})

    def _folder(self) -> Path:
        """Return the folder of the crops."""
        if self.options.crops is not None:
            return Path(self.options.crops)
        path = getattr(self.run.dataset, "path", None)
        if path is None:
            raise UserError("model.crops is missing: these vectors come of no folder; give that of the crops")
        return Path(path) if Path(path).is_dir() else Path(path).parent

    def _check_alike(self, frozen: Frozen, parts: Parts, place: Mapping[str, int]) -> None:
        """Raise UserError where the encoder makes other vectors of the crops of some faces, from all over the set.

        As many of those that were drawn are compared as of the others.
        """
        is_drawn = np.array([frozen.crops.drawn[place[original(name)]] is not None for name in parts["train"].names])
        train = parts["train"].take(np.concatenate([_spread(~is_drawn), _spread(is_drawn)]))
        positions = [place[original(name)] for name in train.names]
        with torch.inference_mode():
            inner = torch.from_numpy(frozen.of(np.array(positions)))
            outputs = base_network(self.face_net).through(inner, self.options.learning(self.face_net.layer))
            made = self.face_net.finished(outputs).numpy()
        away = apart(made, train.vectors)
        worst = int(away.argmax())
        if not away[worst] <= _AWAY:  # nor NaN
            raise UserError(
                f"{frozen.crops.files[positions[worst]]} (model.crops) gives another vector than that of "
                f"{train.names[worst]} (away by {away[worst]:.2f} of what faces are from their mean): give the crops "
                "and the weights (model.weights, model.path) that the vectors were made of, and their right name "
                "(dataset.encoder)"
            )

    def encoder(self, weights: Tensors) -> TunedEncoder:
        """Return the tuned encoder that has these weights in the blocks that have learnt."""
        face_net, data = self.face_net, self.data
        return TunedEncoder(
            weights=weights if self.options.batch_norm == "folded" else fold(weights),
            base=face_net.weights,
            base_sha256=sha256(locate(face_net.weights, face_net.path)),
            takes={name: getattr(face_net, name) for name in ("adapter", "normalize", "output", "layer")},
            about={
                "blocks": list(self.options.learning(face_net.layer)),
                "batch_norm": self.options.batch_norm,
                "encoder": data.encoder,
                "data": data.fingerprint,
                "rows": {name: len(part) for name, part in data.parts.items()},
                "start": self.start.sha256,
            },
        )


def apart(made: Float32[np.ndarray, "n D"], vectors: Float32[np.ndarray, "n D"]) -> Float32[np.ndarray, " n"]:
    """Return how far vectors of the same faces are from each other, as a share of how far these are from their mean.

    Vectors of an encoder's first blocks are all alike, so that their length says nothing of what is far.
    """
    spread = np.linalg.norm(made - made.mean(axis=0), axis=1).mean()
    away: Float32[np.ndarray, " n"] = np.linalg.norm(made - vectors, axis=1) / max(spread, np.finfo(np.float32).tiny)
    return away


def _spread(mask: Bool[np.ndarray, " N"]) -> Int[np.ndarray, " M"]:
    """Return the positions of some rows of a mask, from all over it."""
    rows = np.flatnonzero(mask)
    return rows[np.linspace(0, len(rows) - 1, min(_COMPARED, len(rows))).astype(int)]
