"""Coverage: where a model was trained, and how near and how similar other places are to that."""
