"""The benchmark: tasks, splits and label counts on which any encoder is judged beside its baselines."""
