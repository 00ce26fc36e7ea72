"""Procedural rooms, rendered and written in the layout of the pre-processed NYUv2."""
