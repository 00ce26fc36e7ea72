"""A residual network with deformable convolutions, the paper's image backbone, and its pyramid."""
