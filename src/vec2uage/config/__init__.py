"""The border between what is typed and the library: commands, settings classes, validation, and Hydra."""
