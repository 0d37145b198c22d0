"""What makes models: of networks, in stacks of runs; of regressors of scikit-learn; of completed runs."""
