"""The nuScenes suite: tracking and map segmentation with a UniAD-style model."""
