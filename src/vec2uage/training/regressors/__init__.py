"""Regressors made to scikit-learn's rules that weigh distinct faces where ages are balanced by repeating faces."""
