"""What a network's outputs mean: their loss, and the distribution of age that they stand for; one file each."""
