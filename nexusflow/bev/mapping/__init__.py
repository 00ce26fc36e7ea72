"""Mapping former: class queries whose product with the BEV features gives the masks."""
