"""Recipes: their keys, and the YAML files that they are read from."""
