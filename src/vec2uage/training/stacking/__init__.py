"""`model=stack`: completed runs as one model (Wolpert 1992, "Stacked Generalization"): options, members, its file."""
