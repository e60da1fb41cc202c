"""Encoders that others published: their checkpoints, and files of their embeddings."""
