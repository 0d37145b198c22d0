"""Make face vectors of photographs: `python -m vec2uage.prepare source=utkface source.path=<folder>`."""

import sys

import hydra
from omegaconf import DictConfig

from vec2uage.base import cli
from vec2uage.config.register import conf_dir, register_resolvers

register_resolvers()


@hydra.main(version_base="1.3", config_path=conf_dir(), config_name="prepare")
def entry(cfg: DictConfig) -> None:
    """Prepare what `cfg` describes in Hydra's output folder."""
    from vec2uage.augmentation.run import prepare_and_augment

    cli.run_job(prepare_and_augment, cfg)


def main() -> None:
    """Run the command line."""
    given = {argument.partition("=")[0] for argument in sys.argv}
    if given & {"--help", "-h", "--cfg", "-c"} and not given & {"source", "--config-name", "-cn"}:
        sys.argv.append("source=utkface")  # Hydra composes to help, too, and there is no source by default
    cli.run(entry)


if __name__ == "__main__":
    main()
