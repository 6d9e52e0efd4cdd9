"""Embeddings learned from a pool of unlabelled rows, where the objective has a memory across steps."""
