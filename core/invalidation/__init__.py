"""Invalidations from preview to sweep: apply, undo, history, schedules."""
