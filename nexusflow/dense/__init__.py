"""Dense-prediction networks of the NYUv2 suite: split SegNet and SegNet-MTAN, and their losses."""
