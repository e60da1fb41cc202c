"""Complete studies: comparisons of encoders and of methods, and what each modality contributes."""
