"""Invalidations as data: criteria, the record that a lookup reads, the one rule of what is visible. Pure."""
