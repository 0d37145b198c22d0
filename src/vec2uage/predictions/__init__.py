"""What a model says of faces: a distribution of age for each, and the metrics that judge it; numpy and scipy only."""
