"""Entries one by one: list, read, pin, edit, move, explain."""
