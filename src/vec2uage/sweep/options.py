"""What a command is asked besides what to train: whether to keep what is there, and whether only to plan."""

from dataclasses import dataclass
from typing import Literal

from omegaconf import DictConfig

from vec2uage.config.validate import from_config, options_of

# Keep and go on if nothing has changed | train anew | keep and go on whatever has changed.
Resume = Literal[True, False, "changed"]


@dataclass(frozen=True)
class CommandOptions:
    """The options `resume` and `plan`, which change no run."""

    resume: Resume
    plan: bool


def command_options(cfg: DictConfig) -> CommandOptions:
    """Read these options of a composed configuration; UserError where one is wrong."""
    return from_config({name: cfg[name] for name in options_of(CommandOptions)}, CommandOptions)
