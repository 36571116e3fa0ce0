"""A first recipe for recordings: what they are, what fits them, and why."""
