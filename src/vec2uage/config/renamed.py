"""Options that have another name now: who types the old one is told the new one."""

RENAMED = {
    "dataset.age_range": "split.age_range",
    "dataset.heldout_per_age": "split.heldout_per_age",
    "dataset.missing_ages": "split.missing_ages",
    "dataset.split": "split",
    "dataset.split.group": "split.group",
    "dataset.split.seed": "split.seed",
    "foreign.save_as": "save_as",
    "optimizer.anneal": "averaging.anneal",
    "optimizer.anneal_strategy": "averaging.anneal_strategy",
    "optimizer.freq": "averaging.freq",
    "optimizer.start": "averaging.start",
    "optimizer.swa_lr": "averaging.swa_lr",
    "optimizer.unit": "averaging.unit",
}
"""New name by old name, both as they are typed."""
