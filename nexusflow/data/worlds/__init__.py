"""Embedded worlds: procedural data sets, written in the formats of the real ones."""
