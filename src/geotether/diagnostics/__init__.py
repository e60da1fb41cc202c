"""What an encoder is like apart from any task: dimension, resolution, continuity, bias, coverage."""
