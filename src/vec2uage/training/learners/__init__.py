"""What trains models of one kind: networks as stacks, and scikit-learn's regressors; one file each."""
