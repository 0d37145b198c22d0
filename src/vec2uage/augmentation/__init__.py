"""Augments training faces and judges each operation by what it does to the embedding (paper section 3.2)."""
