"""Texts as vectors: the embedders, and the checks on what they return."""
