"""The search: trials asked of Optuna in batches, trained as stacks, and told how good they were."""
