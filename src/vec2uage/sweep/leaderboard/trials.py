"""What an entry tries, drawn once and the same on all splits."""

from collections.abc import Mapping

import optuna
from optuna.samplers import RandomSampler

from vec2uage.base.seeds import derive
from vec2uage.config.hydra.entries import ParsedEntry

_DRAWS = 20
"""So many draws for each trial, where small spaces repeat themselves."""

Options = Mapping[str, str]


def draw(entry: ParsedEntry, trials: int, seed: int) -> tuple[Options, ...]:
    """Return the options of each trial: none beside what is set for the entry, then random ones, each set once.

    So what a model's YAML has is always among them. A small space may give fewer. An entry draws the same whatever
    others there are, and more trials go on where fewer ended.
    """
    found: list[Options] = [{}]
    if not entry.distributions:
        return tuple(found)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=RandomSampler(seed=derive(seed, "leaderboard", entry.name) % 2**32))
    for _ in range(trials * _DRAWS):
        if len(found) >= trials:
            break
        drawn = {key: _text(value) for key, value in study.ask(dict(entry.distributions)).params.items()}
        if drawn not in found:
            found.append(drawn)
    return tuple(found)


def _text(value: object) -> str:
    """Return a drawn value as one types it: no more digits than make a difference."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
