"""What a command is asked besides what to train: whether to keep what is there, and whether only to plan."""

from dataclasses import dataclass
from typing import Literal

from omegaconf import DictConfig

from vec2uage.config.validate import check_value, refuse

# Keep and go on if nothing has changed | train anew | keep and go on whatever has changed.
Resume = Literal[True, False, "changed"]


@dataclass(frozen=True)
class CommandOptions:
    """The options `resume` and `plan`, which change no run."""

    resume: Resume
    plan: bool


def command_options(cfg: DictConfig) -> CommandOptions:
    """Read these options of a composed configuration; UserError where one is wrong."""
    problems: list[str] = []
    resume = check_value(Resume, cfg.resume, "resume", problems)
    plan = check_value(bool, cfg.plan, "plan", problems)
    refuse(problems)
    return CommandOptions(resume, plan)
