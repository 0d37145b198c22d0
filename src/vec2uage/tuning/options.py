"""The options of `model=end_to_end`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from vec2uage.base.encoder import Encoder
from vec2uage.base.errors import UserError
from vec2uage.config.settings import settings
from vec2uage.faces.embedders.blocks import BLOCKS, Block
from vec2uage.faces.embedders.facenet import FaceNet
from vec2uage.faces.embedders.facenet_weights import Origin
from vec2uage.training.own_learner import OwnLearner

_TAKES = ("embedder.adapter", "embedder.normalize", "embedder.output")


@settings
class TuningOptions(OwnLearner):
    """What of an encoder learns, how fast, and from which run and crops it begins."""

    start: Annotated[str, Field(min_length=1)]
    """The folder of a run that was trained on the vectors of the same split, or of a sweep that has it."""
    trainable: Literal["all", "repeat_1", "mixed_6a", "repeat_2", "mixed_7a", "repeat_3", "block8", "last_linear"]
    """The first block that learns; all after it do, too."""
    crops: str | None
    """Folder of a prepared set with its crops, or of pictures that are crops; None: the folder of the vectors."""
    weights: Origin
    path: str | None
    precision: Literal["auto", "float32", "bf16"]
    """Of the blocks that do not learn."""
    encoder_lr: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """The encoder's learning rate as a share of the regressor's."""
    depth_decay: Annotated[float, Field(gt=0, le=1)]
    """What the rate of every block is multiplied by from the last one to the first."""
    encoder_weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
    """None: that of the optimiser."""
    l2_sp: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Strength of the pull to the encoder's first weights (see `optimizers.grouped.Pull`)."""
    cache: str | None
    """Folder of activations; None: they are computed anew for every batch."""
    unused: ClassVar[dict[str, str]] = {"normalization": "it is that of model.start"}

    @property
    def learning(self) -> tuple[Block, ...]:
        """The blocks that learn."""
        first = 0 if self.trainable == "all" else BLOCKS.index(self.trainable)
        return BLOCKS[first:]

    @property
    def frozen(self) -> tuple[Block, ...]:
        """The blocks before them."""
        return BLOCKS[: -len(self.learning)]

    def face_net(self, encoder: str) -> FaceNet:
        """Return the embedder that has made vectors, as the text that names it says (see `base.encoder`).

        Raises UserError where they are of another network, or the text does not say how it takes crops.
        """
        known = Encoder.parse(encoder)
        layer = known.options.get("embedder.layer", "last_linear")
        network = known.network or ""
        if not network.startswith("facenet-") or network.startswith("facenet-tuned-") or layer != "last_linear":
            raise UserError(
                f"model=end_to_end cannot tune the encoder of these vectors, {encoder}: only FaceNet as a "
                "whole, and not tuned before, can be tuned; prepare the faces with embedder=facenet, or name what made "
                "them with dataset.encoder"
            )
        if missing := [key for key in _TAKES if key not in known.options]:
            raise UserError(
                f"the name of these vectors' encoder, {encoder}, does not say its {missing[0]}: give all of it with "
                "dataset.encoder, as facenet-20180408-102900-704afe26/resize/fixed/normalized"
            )
        adapter, normalize, output = (known.options[key] for key in _TAKES)
        return FaceNet(
            weights=self.weights,
            path=self.path,
            adapter=adapter,  # type: ignore[arg-type]  # checked by the class
            normalize=normalize,  # type: ignore[arg-type]
            output=output,  # type: ignore[arg-type]
            precision=self.precision,
        )
