"""One tuning: a run with what was found for it, the crops of its faces, and what it leaves behind."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

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
from vec2uage.training import models
from vec2uage.training.averaging.swag import SWAG
from vec2uage.training.completed_run import CompletedRun
from vec2uage.training.data import TrainingData
from vec2uage.training.model_file import NetworkModel
from vec2uage.training.optimizers.base import Tensors
from vec2uage.training.outcome import Outcome
from vec2uage.training.run_settings import RunSettings
from vec2uage.tuning import batch_norm
from vec2uage.tuning.activations import ActivationInputs, Frozen, cached
from vec2uage.tuning.crop_check import check_crops
from vec2uage.tuning.crops import find_crops, original
from vec2uage.tuning.described import TunedModel, how_trained, judged
from vec2uage.tuning.encoder_file import TunedEncoder
from vec2uage.tuning.network import ENCODER, REGRESSOR
from vec2uage.tuning.options import TuningOptions
from vec2uage.tuning.pairs import find_pairs
from vec2uage.tuning.start import check_head, read_model, start_of
from vec2uage.tuning.verification import Verification, told

log = logging.getLogger(__name__)

_NETWORK = "vec2uage.tuning.network.EndToEnd"
_MEASURED = 64  # faces at a time whose averages are taken


@dataclass(frozen=True)
class TuningFaces:
    """Crops as what the frozen blocks make of them; see `training.data.Faces`."""

    parts: Mapping[str, ActivationInputs]
    tuning: "Tuning"
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
        start = self.tuning.start_model
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
class Tuning:
    """A run with what was found for it: the network it begins from, and the vectors of its faces."""

    run: RunSettings
    """As the trainer takes it: its model is that of `network.EndToEnd`."""
    options: TuningOptions
    data: TrainingData
    face_net: FaceNet
    start: CompletedRun
    start_model: NetworkModel

    @staticmethod
    def of(run: RunSettings, data: TrainingData) -> "Tuning":
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
        model = read_model(start)
        check_head(start, model, run.head)
        network = Component(_NETWORK, (("face_net", face_net), ("options", options), ("start", start.path)))
        return Tuning(replace(run, model=network), options, data, face_net, start, model)

    def faces(self, device: torch.device) -> TuningFaces:
        """Return the crops of all parts; UserError where they are not those that the vectors were made of."""
        run, data = self.run, self.data
        parts = load_parts(run.dataset, run.split, run.augmentation, run.split_seed)
        frozen = self.frozen(device)
        place = {name: position for position, name in enumerate(self._names(parts))}
        check_crops(frozen, parts["train"], place, self.options.learning(self.face_net.layer))
        streamed = self.options.cache is None or not frozen.blocks  # crops themselves are read as fast as a file
        activations = frozen.of if streamed else cached(frozen, Path(str(self.options.cache)))

        def inputs(name: str) -> ActivationInputs:
            positions = [place[original(row)] for row in parts[name].names]
            of_vectors = data.parts[name]
            return ActivationInputs(activations, torch.tensor(positions), of_vectors.age, of_vectors.weight)

        vectors = getattr(run.dataset, "path", None)
        pairs = find_pairs(parts, None if vectors is None else Path(vectors))
        positions = np.array([place[name] for name in pairs.names])
        verification = Verification(pairs, positions, activations, frozen, run.trainer.precision)
        return TuningFaces({name: inputs(name) for name in parts}, self, verification)

    def measured(self, train: ActivationInputs) -> RunSettings:
        """Return the run whose network has the averages of batch norms that its weights' file does not have."""
        if self.options.batch_norm == "folded":
            return self.run
        run, head = self.run, self.run.head
        network = models.build(run.model, self.data.dimension, head.outputs, run.seed, head.tied_outputs)
        network = network.to(train.age.device).eval()
        averages = batch_norm.measured(
            network, network.get_submodule("encoder"), self.face_net, train.blocks(_MEASURED), run.trainer.precision
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
