"""Measurements of speed, run by `make bench`: timings belong here, never in the tests."""
