"""What a pool is made of, read into tensors: images, sounds, texts, vectors."""
