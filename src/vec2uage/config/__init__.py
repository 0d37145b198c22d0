"""The border between YAML and the library: settings classes, validation, where conf/ lies."""
