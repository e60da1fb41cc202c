"""Whole studies in one command: encoders compared, and what each modality is worth."""
