"""Fine-tuning: the last blocks of an encoder learn with the regressor on top of it, from crops of faces."""
