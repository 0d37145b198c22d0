"""A trained model on a set of face vectors: predictions, their errors, and a picture of both."""
