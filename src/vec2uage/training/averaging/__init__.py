"""Weight averaging: from the weights that train to the weights that are judged; over any optimiser, one file each."""
