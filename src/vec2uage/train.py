"""Train age regressors: `python -m vec2uage.train` for one run, `-m` for a grid."""

import hydra
from omegaconf import DictConfig

from vec2uage.base import cli
from vec2uage.config.register import conf_dir, register_resolvers

register_resolvers()


@hydra.main(version_base="1.3", config_path=conf_dir(), config_name="train")
def entry(cfg: DictConfig) -> None:
    """Train the one run that `cfg` describes, in Hydra's output folder."""
    from vec2uage.sweep.single_run import run_single

    run_single(cfg)


def main() -> None:
    """Run the command line."""
    cli.run(entry)


if __name__ == "__main__":
    main()
