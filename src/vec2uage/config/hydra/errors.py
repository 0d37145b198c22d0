"""What went wrong, in one sentence, whoever raised it: we, Hydra, OmegaConf or the operating system."""

import re
import traceback
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from vec2uage.base.errors import UserError
from vec2uage.config.error_messages import unknown_choice, unknown_group, unknown_option
from vec2uage.config.renamed import RENAMED


def is_user_error(error: Exception) -> bool:
    """Tell whether the user can mend an error: bad input, a full or forbidden disk, options that Hydra refuses."""
    if isinstance(error, UserError | OSError | HydraException | OmegaConfBaseException):
        return True
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return isinstance(error, ValueError) and str(frame.f_globals["__name__"]).startswith("hydra._internal.")


def error_sentence(error: Exception) -> str:
    """Say what is wrong; for a key or choice that does not exist, which there are."""
    cause = error.__cause__
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return unknown_choice(group, choice, list(error.options))
    if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig):
        keys = [str(key) for key in cause.parent_node if not str(key).startswith("_")]
        value = str(error).rpartition("=")[2]
        key = _typed_key(str(error)) or str(cause.full_key or cause.key)
        return unknown_option(key, value, keys, _within_groups(cause.parent_node, str(cause.key)))
    if isinstance(cause, OmegaConfBaseException):
        return f"{error} ({str(cause).splitlines()[0]})"
    if isinstance(error, OverrideParseException) and "=" not in error.override:
        return f"{error.override}: options are set as key=value (--help shows them)"
    if isinstance(error, OverrideParseException):
        reason = " ".join(line for line in str(error).splitlines() if not line.startswith("See http"))
        hint = " (a value that holds = , ( ) or a space needs quotes: 'key=\"value\"')"
        reason = re.sub(r"^Error parsing override '.*?' (?=extraneous)| expecting \{<EOF>.*\}", "", reason)
        quotes = re.search("(mismatched|extraneous) input|LexerNoViableAlt", reason)
        return f"{error.override}: {reason}" + hint * bool(quotes)
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    if unknown := re.match(r"Could not override '(.+)'\. No match in the defaults list", text):
        return unknown_group(unknown[1])
    if needed := re.match(r"You must specify '(.+)', e\.g, .* Available options: (.+)", text):
        return f"{needed[1]} is missing: set {needed[1]}=..., one of {', '.join(needed[2].split())}"
    if several := re.match(r"Ambiguous value for argument '(.+)' 1\.|Sweep parameters '(.+)' requires", text):
        key_value = several[1] or several[2]
        return f"{key_value}: several values are a grid, which needs -m (a list needs brackets, as in key=[a,b])"
    return text


def _typed_key(message: str) -> str:
    """Return the renamed option that Hydra says was typed, also where its group is gone, too; "" for any other."""
    found = re.search(r"(?:use \+|override )([\w.]+)=", message)
    return found[1] if found and found[1] in RENAMED else ""


def _within_groups(config: Any, key: str) -> list[str]:
    """Return where in the groups of a configuration there is an option of this name."""
    if key.startswith("_"):
        return []
    groups: Any = OmegaConf.to_container(config)
    return [f"{name}.{key}" for name, options in groups.items() if isinstance(options, dict) and key in options]
