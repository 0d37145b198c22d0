"""What went wrong, in one sentence, whoever raised it: we, Hydra, OmegaConf or the operating system."""

import re
import traceback
from pathlib import Path
from typing import Any

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from vec2uage.base.errors import UserError
from vec2uage.config.error_messages import unknown_choice, unknown_group, unknown_typed_option
from vec2uage.config.hydra.resolvers import conf_dir


def is_user_error(error: Exception) -> bool:
    """Tell whether the user can mend an error: bad input, a full or forbidden disk, options that Hydra refuses."""
    if isinstance(error, UserError | OSError | HydraException | OmegaConfBaseException):
        return True
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return isinstance(error, ValueError) and str(frame.f_globals["__name__"]).startswith("hydra.")


def error_sentence(error: Exception) -> str:
    """Say what is wrong; for a key or choice that does not exist, which there are."""
    cause = error.__cause__
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        return unknown_choice(group, choice, list(error.options))
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and isinstance(cause.parent_node, DictConfig):
        return _unknown_typed(str(error), cause)
    if isinstance(cause, OmegaConfBaseException):
        return f"{error} ({str(cause).splitlines()[0]})"
    if isinstance(error, OverrideParseException) and not re.match(r"[~+]*[\w$][\w$.@/-]*=", error.override, re.ASCII):
        return f"{error.override}: options are set as key=value (--help shows them)"
    if isinstance(error, OverrideParseException):
        reason = " ".join(line for line in str(error).splitlines() if not line.startswith("See http"))
        hint = " (a value that holds = , ( ) or a space needs quotes: 'key=\"value\"')"
        reason = re.sub(r"^Error parsing override '.*?' (?=extraneous)| expecting \{<EOF>.*\}", "", reason)
        quotes = re.search("(mismatched|extraneous) input|LexerNoViableAlt", reason)
        return f"{error.override}: {reason}" + hint * bool(quotes)
    if isinstance(error, FileExistsError) and error.filename:
        return f"{error.filename}: is there already, and no folder, which is needed here"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    if unknown := re.match(r"Could not override '(.+)'\. No match in the defaults list", text):
        return unknown_group(unknown[1])
    if needed := re.match(r"You must specify '(.+)', e\.g, .* Available options: (.+)", text):
        return f"{needed[1]} is missing: set {needed[1]}=..., one of {', '.join(needed[2].split())}"
    if text.startswith("Config group override must be a string"):
        return "a config group is set to the name of one of its choices, as in optimizer=sgd (--help shows them)"
    if absent := re.match("Interpolation key '(.+?)' not found", text):
        return f"${{{absent[1]}}}: there is no option {absent[1]} whose value this could stand for"
    if lost := re.match(r"Cannot find primary config '(.+)'\.", text):
        return f"--config-name {lost[1]}: no such file {lost[1]}.yaml in {conf_dir()}"
    if several := re.match(r"Ambiguous value for argument '(.+)' 1\.|Sweep parameters '(.+)' requires", text):
        key_value = several[1] or several[2]
        not_meant = "a list needs brackets, as in key=[a,b], and a decimal a point"
        if re.search(r"=(int\()?(tag|interval)\(", key_value):
            return f"{key_value}: a range is for a search, which needs -m hydra/sweeper=optuna"
        return f"{key_value}: several values are a grid, which needs -m ({not_meant})"
    if "does not support sweep type : INTERVAL_SWEEP" in text:
        return "interval() and log() are for a search, which needs hydra/sweeper=optuna: a grid has single values"
    return text


def _unknown_typed(message: str, cause: OmegaConfBaseException) -> str:
    """Say that an option that was typed does not exist, and what may have been meant."""
    typed = re.search(r"use \+([\w.]+)=(.*)", message) or re.search(r"override ([\w.]+)=(.*)", message)
    key, value = (typed[1], typed[2]) if typed else (str(cause.full_key or cause.key), "")
    allowed = [str(key) for key in cause.parent_node if not str(key).startswith("_") and key != "hydra"]
    group, _, name = key.rpartition(".")
    options = _options(OmegaConf.to_container(cause.parent_node._get_root()))
    return unknown_typed_option(key, value, allowed, options, _choices_with(group, name))


def _options(config: Any, prefix: str = "") -> list[str]:
    """Return the full names of all options of a configuration, and of its groups."""
    names = []
    for key, value in config.items():
        if not str(key).startswith("_") and prefix + str(key) != "hydra":
            names += [f"{prefix}{key}", *(_options(value, f"{prefix}{key}.") if isinstance(value, dict) else ())]
    return names


def _choices_with(group: str, name: str) -> list[str]:
    """Return the choices of a config group whose file has an option of this name: `optimizer=sgd`, `optimizer=swa`."""
    files = sorted(Path(conf_dir(), group).glob("*.yaml")) if group else []
    return [f"{group}={file.stem}" for file in files if name in list(OmegaConf.load(file))]
