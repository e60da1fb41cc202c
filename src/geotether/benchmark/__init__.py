"""The benchmark: tasks, splits and label counts on which encoders are compared with baselines."""
