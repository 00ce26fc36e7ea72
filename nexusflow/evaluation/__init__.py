"""Scoring of prediction folders against a data set: official tracking metrics and map overlap, no model."""
