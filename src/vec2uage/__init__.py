"""vec2uage: estimate the age of underage subjects from face embeddings, as distributions over many runs."""

__version__ = "0.1.0"
