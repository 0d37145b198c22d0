"""All that vec2uage does about how Hydra parses, composes, names and complains; no other code knows how Hydra works."""
