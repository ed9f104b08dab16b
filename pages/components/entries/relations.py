"""What an entry's answer depends on, and stored questions similar to its own."""

from __future__ import annotations

import streamlit as st

from core.entries import Explanation, FoundEntry, Looked, Nearest, nearest_entries
from core.errors import CacheError
from core.keys import Identity, Part, TextKind, normalize, parse_readable_key, unpack
from pages.components.data import context, queries
from pages.components.display import tables as shared_tables
from pages.components.display.figures import UNKNOWN, many
from pages.components.display.text import error_sentence
from pages.components.entries import tables
from pages.components.shell.neighbours import nearest_table

SHOWN = 5


def scope_of(found: FoundEntry) -> None:
    """Draws the parts of the scope that the entry holds."""
    st.markdown("**What the answer depends on besides its prompt**")
    parts = parts_of_entry(found)
    st.dataframe(
        shared_tables.parts(parts, queries.naming()),
        column_config=shared_tables.PART_COLUMNS,
        hide_index=True,
        key="entry-parts",
        placeholder=UNKNOWN,
        alt="Parts of the request with the digest of each",
    )
    if not found.entry.parts:
        st.caption("The entry is from an older version, which kept no digests of the parts.")


def parts_of_entry(found: FoundEntry) -> list[Part]:
    """The parts of the scope that header and entry hold. Of texts that is a digest: an entry does not keep them."""
    header = found.entry.header
    kept = unpack(found.entry.parts).values()
    return [
        Part(name="namespace", words=header.namespace, digest=""),
        Part(name="model", words=header.model, digest=""),
        *(
            part if part.words else Part(name=part.name, words="(kept as a digest)", digest=part.digest)
            for part in kept
        ),
    ]


def neighbours_of(found: FoundEntry) -> None:
    """Draws the nearest questions of the scope by embedding, or those with similar words where that is off."""
    st.markdown("**Neighbours**")
    identity = identity_of(found)
    try:
        if nearest_table(identity, key="entry"):
            return
        looked = like_entries(found)
    except CacheError as error:
        st.caption(f"The nearest questions could not be read. {error_sentence(error)}")
        return
    if not looked.nearest:
        st.caption(f"No similar question in the {looked.looked_at:,} newest entries.")
        return
    shown_nearest(looked.nearest, key="entry-like")
    st.caption(f"Compared by their words, among the {many(looked.looked_at, 'newest entry', 'newest entries')}.")


def identity_of(found: FoundEntry) -> Identity:
    """The identity of the request that the entry answers."""
    entry, header = found.entry, found.entry.header
    bucket, digest = parse_readable_key(found.key) or (0, header.digest)
    return Identity(
        namespace=header.namespace,
        bucket=bucket,
        scope=header.scope,
        exact=digest,
        normalized=None,
        prompt=entry.prompt,
        fuzzy=True,
        key=found.key,
    )


def like_entries(found: FoundEntry) -> Looked:
    """Entries of all namespaces whose questions have similar words, with what differs from each."""
    built = context.services()
    entry, header = found.entry, found.entry.header
    request = Explanation(
        key=found.key,
        bypass="",
        parts=tuple(parts_of_entry(found)),
        prompt=entry.prompt,
        normal=normalize(entry.prompt, TextKind.MATERIAL),
        ttl=None,
        scope=header.scope,
    )
    others = [name for name in queries.namespaces() if name != header.namespace]
    return nearest_entries(
        built.store,
        [header.namespace, *others],
        request,
        buckets=built.settings.buckets,
        strip_stop_words=built.settings.strip_stop_words,
        k=SHOWN,
    )


def shown_nearest(nearest: tuple[Nearest, ...], *, key: str) -> None:
    """Draws a table of entries with what differs from each."""
    st.dataframe(
        shared_tables.in_figures(
            tables.nearest(nearest, queries.naming(one.found.entry.header.namespace for one in nearest))
        ),
        column_config=tables.NEAREST_COLUMNS,
        hide_index=True,
        key=key,
        placeholder=UNKNOWN,
        alt="Stored questions similar to this one, and what differs",
    )
