"""Two procedural cities, written as a nuScenes data set."""
