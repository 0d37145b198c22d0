"""From face crops to vectors, one file per kind of network."""
