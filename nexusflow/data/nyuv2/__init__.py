"""NYUv2-format data: reader, conversion of the official file, partitions of the labels."""
