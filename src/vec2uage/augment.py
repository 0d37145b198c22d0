"""Augment faces: `python -m vec2uage.augment path=face.jpg`, or `task=generate path=<folder of vec2uage.prepare>`."""

from vec2uage.config.command import Invocation, command


@command("augment")
def main(invocation: Invocation) -> int:
    """Analyse operations, or fill a prepared set with augmented faces, as the options say."""
    from vec2uage.augmentation.augment_settings import AugmentSettings
    from vec2uage.augmentation.run import run

    return run(invocation.settings(AugmentSettings), invocation)


if __name__ == "__main__":
    main()
