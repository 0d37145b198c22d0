"""From photographs to face vectors: find files, decode, detect, crop, embed. Knows nothing of training."""
