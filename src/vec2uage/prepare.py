"""Make face vectors of photographs: `python -m vec2uage.prepare source=utkface source.path=<folder>`."""

from vec2uage.config.command import Invocation, command


@command("prepare", for_help="source=utkface")  # there is no source by default
def main(invocation: Invocation) -> int:
    """Prepare the photographs of a source, and fill rare ages with augmented faces where the options say so."""
    from vec2uage.augmentation.augment_settings import PrepareAndAugmentSettings
    from vec2uage.augmentation.run import prepare_and_augment

    return prepare_and_augment(invocation.settings(PrepareAndAugmentSettings), invocation)


if __name__ == "__main__":
    main()
