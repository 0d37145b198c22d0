"""What makes a model's distributions honest on faces that it did not learn from, and who is flagged as a minor."""
