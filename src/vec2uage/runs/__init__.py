"""Run folders, the interface between training and everything that reads its results; free of torch."""
