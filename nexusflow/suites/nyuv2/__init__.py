"""The NYUv2 suite: segmentation, depth and surface normals."""
