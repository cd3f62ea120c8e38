"""The `vlm` engine: Hugging Face image-text-to-text checkpoints on this machine's GPU or CPU."""
