"""Report on sweeps: `python -m vec2uage.report sweep=outputs/sweeps/experiment=d1`."""

import sys

import hydra
from omegaconf import DictConfig

from vec2uage.base import cli
from vec2uage.base.arguments import gathered
from vec2uage.config.register import conf_dir, register_resolvers

register_resolvers()


@hydra.main(version_base="1.3", config_path=conf_dir(), config_name="report")
def entry(cfg: DictConfig) -> None:
    """Write the report that `cfg` describes into Hydra's output folder; print what a busy reader needs."""
    from vec2uage.reporting.run import run

    run(cfg)


def main() -> None:
    """Run the command line."""
    sys.argv[1:] = gathered("sweep", sys.argv[1:])
    cli.run(entry)


if __name__ == "__main__":
    main()
