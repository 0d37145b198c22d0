"""The options of `model=stack`."""

from typing import Annotated, Literal

from pydantic import Field

from vec2uage.config.settings import settings

Text = Annotated[str, Field(min_length=1)]


@settings
class Stacking:
    """Which runs are combined, and how much each counts; what `_target_` of conf/model/stack.yaml names."""

    members: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Run folders, model files in them, sweep folders, or globs of such."""
    weights: Literal["fitted", "equal"]
    """`fitted`: those of the least CRPS on the validation part."""
    trust_code: bool
    """Whether classes of the user's own that the members' configurations name are imported."""
