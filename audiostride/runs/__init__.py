"""A finished run, read from its folder."""
