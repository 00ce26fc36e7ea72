"""Ways of training with missing labels; each knows tensors and task names only."""
