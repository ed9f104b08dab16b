"""Checks of a whole installation, with what to do about each finding."""
