"""Model folders: what a training run leaves behind, and what all uses begin with."""
