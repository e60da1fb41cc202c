"""Published encoders of other projects: checkpoints and files of embeddings."""
