"""How each suite turns its part of the configuration into work."""
