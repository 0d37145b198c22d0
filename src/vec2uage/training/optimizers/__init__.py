"""Optimisers as formulas on stacked parameters: one file each, one settings class each."""
