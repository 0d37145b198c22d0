"""The options of `model=end_to_end`."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationError

from vec2uage.base.encoder import Encoder
from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.faces.embedders.blocks import Block, up_to
from vec2uage.faces.embedders.facenet import FaceNet
from vec2uage.faces.embedders.facenet_weights import Origin
from vec2uage.training.own_learner import OwnLearner

_TAKES = ("embedder.adapter", "embedder.normalize", "embedder.output", "embedder.layer")


@settings
class TuningOptions(OwnLearner):
    """What of an encoder learns, how fast, and from which run and crops it begins."""

    start: Annotated[str, Field(min_length=1)]
    """The folder of a run that was trained on the vectors of the same split, or of a sweep that has it."""
    trainable: Literal[
        "last", "last_linear", "block8", "repeat_3", "mixed_7a", "repeat_2", "mixed_6a", "repeat_1", "all"
    ]
    """The first block that learns; all after it do, too. `last` is the one that makes the vectors."""
    batch_norm: Literal["folded", "frozen", "updated"]
    """What becomes of batch norm in the blocks that learn (see `batch_norm.unfold`)."""
    crops: Annotated[str, Field(min_length=1)] | None
    """Folder of a prepared set with its crops, or of pictures that are crops; None: the folder of the vectors."""
    weights: Origin
    path: str | None
    precision: Literal["auto", "float32", "bf16"]
    """Of the blocks that do not learn."""
    encoder_lr: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """The learning rate of the encoder's last block as a share of the regressor's."""
    depth_decay: Annotated[float, Field(gt=0, le=1)]
    """What the rate of every block is multiplied by from the last one to the first."""
    encoder_weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    """None: that of the optimiser."""
    l2_sp: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Strength of the pull to the encoder's first weights (see `optimizers.grouped.Pull`)."""
    cache: Annotated[str, Field(min_length=1)] | None
    """Folder of activations; None: they are computed anew for every batch."""
    unused: ClassVar[dict[str, str]] = {"normalization": "it is that of model.start"}
    execution: ClassVar[tuple[str, ...]] = ("cache",)

    def learning(self, layer: Block) -> tuple[Block, ...]:
        """Return the blocks that learn where `layer` makes the vectors; UserError where the first is behind it."""
        blocks = up_to(layer)
        first = {"last": layer, "all": blocks[0]}.get(self.trainable, self.trainable)
        if first not in blocks:
            raise UserError(
                f"model.trainable = {self.trainable}: {layer} makes these vectors (embedder.layer), and that block "
                f"is behind it: set it to last, {', '.join([*reversed(blocks[1:]), 'all'])}"
            )
        return blocks[blocks.index(first) :]

    def frozen(self, layer: Block) -> tuple[Block, ...]:
        """Return the blocks before them."""
        return up_to(layer)[: -len(self.learning(layer))]

    def face_net(self, encoder: str) -> FaceNet:
        """Return the embedder that has made vectors, as the text that names it says (see `base.encoder`).

        Raises UserError where they are of another network, or the text does not say how it takes crops, and where
        `trainable` is none of the blocks that make them.
        """
        known = Encoder.parse(encoder)
        network = known.network or ""
        if not network.startswith("facenet-") or network.startswith("facenet-tuned-"):
            raise UserError(
                f"model=end_to_end cannot tune the encoder of these vectors, {encoder}: only FaceNet, and not tuned "
                "before, can be tuned; prepare the faces with embedder=facenet, or name what made them with "
                "dataset.encoder"
            )
        if missing := [key for key in _TAKES if key not in known.options]:
            raise UserError(
                f"the name of these vectors' encoder, {encoder}, does not say its {missing[0]}: give all of it with "
                "dataset.encoder, as facenet-20180408-102900-704afe26/resize/fixed/normalized"
            )
        adapter, normalize, output, layer = (known.options[key] for key in _TAKES)
        try:
            made = FaceNet(
                weights=self.weights,
                path=self.path,
                adapter=adapter,  # type: ignore[arg-type]  # checked by the class
                normalize=normalize,  # type: ignore[arg-type]
                output=output,  # type: ignore[arg-type]
                layer=layer,  # type: ignore[arg-type]
                precision=self.precision,
            )
        except ValidationError as error:
            (problem, *_) = error.errors()
            what = ".".join(map(str, problem["loc"])) or "model.weights"
            why = problem["msg"].removeprefix("Value error, ")
            raise UserError(f"no FaceNet can be tuned for vectors of {encoder}: {what}: {why}") from None
        if self.path is not None and not Path(self.path).is_file():
            raise UserError(f"model.path = {self.path}: there is no such file of weights")
        self.learning(made.layer)
        return made
