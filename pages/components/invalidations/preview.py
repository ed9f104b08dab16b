"""The preview of an invalidation: what it would hide, what that costs, and a sample."""

from __future__ import annotations

from uuid import uuid4

import streamlit as st

from core.access import Action
from core.bans import Criteria
from core.errors import CacheError
from core.invalidation import Preview, invalidating
from pages.components.data import actions, context, queries
from pages.components.display.figures import UNKNOWN, clock, duration, many, money, share, size
from pages.components.display.namespaces import named, said, told
from pages.components.display.tables import in_figures
from pages.components.display.text import error_sentence, literal
from pages.components.invalidations import tables as invalidation_tables
from pages.components.invalidations.apply import Plan, apply_single, ask
from pages.components.shell.criteria_form import Fields
from pages.components.shell.permissions import read_only


def take_preview(fields: Fields, criteria: Criteria | None) -> None:
    """Counts what the criteria match, and keeps the preview for this session."""
    st.session_state.pop("plan", None)
    actions.forget_last("invalidate")
    if criteria is None:
        return
    try:
        with st.spinner("Searching the entries…", show_time=True):
            preview = context.services().invalidation.preview(criteria, reach=fields.reach)
    except CacheError as error:
        st.error(f"**No preview.** {error_sentence(error)}", icon=":material/cloud_off:")
        return
    st.session_state["plan"] = Plan(fields=fields, preview=preview, request_id=uuid4().hex[:16])


def show_preview(plan: Plan, *, outdated: bool, soft: bool, hold_seconds: float) -> None:
    """Draws what would be hidden, what that costs, a sample; and the button that asks for confirmation."""
    preview = plan.preview
    if outdated:
        st.info("The criteria have changed since the preview. Preview again.", icon=":material/history:")
        return
    naming = queries.naming()
    where = f"in **{named(preview.namespace, naming)}**"
    st.caption(
        f"Preview of {clock(preview.at)}: {literal(str(preview.criteria), 200)} {where}",
        help=told(preview.namespace, naming),
    )
    _figures(preview)
    if preview.parts:
        _parts(preview)
    if preview.rows:
        columns = invalidation_tables.PREVIEW_COLUMNS
        st.dataframe(
            in_figures(invalidation_tables.preview(preview.rows, naming)),
            column_config=columns,
            column_order=[name for name in columns if preview.parts or not name.startswith("namespace")],
            hide_index=True,
            height=min(35 * len(preview.rows) + 38, 260),
            key="preview-rows",
            placeholder=UNKNOWN,
            alt="Sample of the entries that match",
        )
        if preview.count > len(preview.rows):
            st.caption(f"A sample: the first {len(preview.rows)} of {preview.about}{preview.count:,}.")
    else:
        st.info(
            "No stored entry matches now. You can still apply it: it also keeps out answers that are being generated "
            "now.",
            icon=":material/search_off:",
        )
    needed = invalidating(preview.criteria, preview.highest_share)
    verb = "Mark stale" if soft else "Invalidate"
    single = preview.criteria.key is not None
    label = f"{verb} {many(preview.count, 'entry', 'entries')}" if preview.count else "Apply anyway"
    label += f" in {said(preview.namespace, naming)}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            label + ("" if single else "…"),
            key="apply",
            icon=":material/block:",
            type="primary",
            disabled=not context.actor().may(needed),
            on_click=apply_single if single else ask,
            args=(plan, soft, hold_seconds),
        )
        if needed is not Action.INVALIDATE:
            read_only(needed)


def _parts(preview: Preview) -> None:
    """What it would hide in each of all namespaces."""
    st.dataframe(
        in_figures(
            invalidation_tables.preview_parts(preview.parts, queries.naming(part.namespace for part in preview.parts))
        ),
        column_config=invalidation_tables.PREVIEW_PART_COLUMNS,
        column_order=[
            name
            for name in invalidation_tables.PREVIEW_PART_COLUMNS
            if name != "problem" or any(part.problem for part in preview.parts)
        ],
        hide_index=True,
        height=min(35 * len(preview.parts) + 38, 320),
        key="preview-parts",
        placeholder=UNKNOWN,
        alt="What it would hide in each namespace",
    )
    st.caption(f"{many(len(preview.parts), 'namespace')}, all that exist now. Namespaces made later are not affected.")


def _figures(preview: Preview) -> None:
    with st.grid(4, min_column_width=150):
        with st.container(gap=None):
            st.metric("Entries", f"{preview.about}{preview.count:,}", help=_how_counted(preview))
            st.caption(f"{share(preview.share)} of {many(preview.total, 'entry', 'entries')}")
            if preview.hits_last_day is not None:
                st.caption(f"served {many(preview.hits_last_day, 'time')} in a day")
        with st.container(gap=None):
            st.metric("To ask again", money(preview.cost_usd))
            unknown = f" and {preview.unknown_prices} of unknown price" if preview.unknown_prices else ""
            st.caption(f"{many(preview.tokens, 'token')}{unknown}")
        with st.container(gap=None):
            st.metric("Time to ask again", duration(preview.refetch_seconds))
            st.caption("one after the other")
        with st.container(gap=None):
            st.metric("Memory", size(preview.bytes))
            if preview.oldest_at and preview.newest_at:
                now = preview.at
                st.caption(f"{duration(now - preview.newest_at)} to {duration(now - preview.oldest_at)} old")
    whole = "all namespaces" if preview.parts else "the namespace"
    st.progress(preview.share, text=f"{share(preview.share)} of {whole}")


def _how_counted(preview: Preview) -> str:
    if preview.exact:
        return f"Exact count, in {preview.scanned:,} entries."
    if any(part.problem for part in preview.parts):
        return "Not all namespaces could be counted: see the table."
    if preview.at_least:
        return f"Found by the index of tags, in {preview.scanned:,} entries. The index may have lost some."
    return f"Estimated from {preview.scanned:,} entries: {preview.low:,} to {preview.high:,} with 95 % confidence."
