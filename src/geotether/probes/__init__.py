"""Probes: simple models on frozen features that show what an embedding knows. Arrays in, arrays out."""
