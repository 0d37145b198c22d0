"""Training: a run is a slice of a stack, and one run is a stack of one.

Letters used for shapes throughout: K runs, B batch, N rows, D dimensions of a vector, O outputs of a network.
Every per-run quantity is a `[K]` tensor and every parameter a `[K, ...]` tensor, so that no piece of
this package knows how many runs it trains, and no run can tell who its neighbours are.
"""
