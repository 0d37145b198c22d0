"""Augment faces: `python -m vec2uage.augment path=face.jpg`, or `task=generate path=<folder of vec2uage.prepare>`."""

import hydra
from omegaconf import DictConfig

from vec2uage.base import cli
from vec2uage.config.register import conf_dir, register_resolvers

register_resolvers()


@hydra.main(version_base="1.3", config_path=conf_dir(), config_name="augment")
def entry(cfg: DictConfig) -> None:
    """Analyse operations, or fill a prepared set with augmented faces, as `cfg` says."""
    from vec2uage.augmentation.run import run

    cli.run_job(run, cfg)


def main() -> None:
    """Run the command line."""
    cli.run(entry)


if __name__ == "__main__":
    main()
