"""Scores of what a model says: clips, calibration, differences that mean something."""
