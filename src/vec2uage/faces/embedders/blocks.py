"""What FaceNet's network is made of, from the pixels to the vector, without loading it."""

from typing import Literal, get_args

Block = Literal["stem", "repeat_1", "mixed_6a", "repeat_2", "mixed_7a", "repeat_3", "block8", "last_linear"]
"""Blocks by the names of `inception.InceptionResnetV1`; `stem` are the convolutions before the first repeat."""
BLOCKS: tuple[Block, ...] = get_args(Block)
CHANNELS: dict[Block, int] = {
    "stem": 256,
    "repeat_1": 256,
    "mixed_6a": 896,
    "repeat_2": 896,
    "mixed_7a": 1792,
    "repeat_3": 1792,
    "block8": 1792,
    "last_linear": 512,
}
"""Numbers per place of the picture that a block makes; `last_linear` makes no picture, but the vector."""


def up_to(block: Block) -> tuple[Block, ...]:
    """Return the blocks up to this one, itself included.

    >>> up_to("mixed_6a")
    ('stem', 'repeat_1', 'mixed_6a')
    """
    return BLOCKS[: BLOCKS.index(block) + 1]
