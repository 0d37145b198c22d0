"""The tables of a report; where the paper has such a table, in its layout and beside its numbers."""
