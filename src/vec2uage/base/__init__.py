"""Foundations every other package stands on: errors, files, locks, seeds, devices, progress and provenance."""
