"""From recordings to probabilities, tables and events; without torch."""
