"""The training loop, its checkpoints, its randomness and its log."""
