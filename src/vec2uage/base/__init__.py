"""Foundations every other package stands on: errors, files, seeds, measures, progress and provenance."""
