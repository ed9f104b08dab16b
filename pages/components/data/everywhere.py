"""What is read of entries in all namespaces together."""

from __future__ import annotations

from core.entries import FoundEntry, NamespaceEntries, by_namespace, find_anywhere
from pages.components.data import context
from pages.components.data.context import readings
from pages.components.data.entry_filters import Filters
from pages.components.data.queries import namespaces
from pages.components.data.readings import shared


@shared(readings)
def entry_anywhere(key: str) -> FoundEntry | None:
    """The entry at a key in the first namespace that has one there; None where none has."""
    built = context.services()
    return find_anywhere(built.store, namespaces(), key, hits=built.metrics.hits, pins=built.pins)


@shared(readings, max_age=5)
def entries_by_namespace(chosen: Filters) -> list[NamespaceEntries]:
    """What each namespace has, and which of its entries match; those with most matches first."""
    built = context.services()
    return by_namespace(
        built.store,
        namespaces(),
        chosen.where(context.now()),
        buckets=built.settings.buckets,
        hits=built.metrics.hits,
        pins=built.pins,
    )
