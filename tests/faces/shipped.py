"""The sources of conf/source/, made as the command line makes them."""

from typing import Any

from hydra import compose, initialize_config_dir

from vec2uage.config.hydra.resolvers import conf_dir
from vec2uage.config.validate import check_group, refuse, to_container
from vec2uage.faces.sources.base import Source


def source(choice: str, *overrides: str) -> Any:
    """Compose `source=choice` with `overrides` and return its settings; UserError names every wrong option."""
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        plain = to_container(compose(None, [f"+source={choice}", *overrides]))
    problems: list[str] = []
    made = check_group(plain["source"], "source", Source, problems)
    refuse(problems)
    return made
