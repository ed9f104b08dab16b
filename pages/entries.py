"""Entries: what is stored, to be searched, read, exported, imported and mended."""

from __future__ import annotations

from pages.components.frame import frame


def page() -> None:
    frame("Entries", "What the cache has stored: search it, read it, take it out of service, put answers in.")


page()
