"""What figures and analyses need beyond metrics: features, latents, key frames to look at."""
