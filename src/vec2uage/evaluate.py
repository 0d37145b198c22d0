"""Evaluate a trained model on face vectors: `python -m vec2uage.evaluate checkpoint=... dataset.path=...`."""

import hydra
from omegaconf import DictConfig

from vec2uage.base import cli
from vec2uage.config.register import conf_dir, register_resolvers

register_resolvers()


@hydra.main(version_base="1.3", config_path=conf_dir(), config_name="evaluate")
def entry(cfg: DictConfig) -> None:
    """Predict the ages of the faces that `cfg` describes; write and print the errors."""
    from vec2uage.augmentation.tta import views_of
    from vec2uage.evaluation.run import run

    run(cfg, views_of)


def main() -> None:
    """Run the command line."""
    cli.run(entry)


if __name__ == "__main__":
    main()
