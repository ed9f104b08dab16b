"""One stored answer: prompt, answer, details, and the buttons that change it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import msgspec
import streamlit as st

from core.access import Action
from core.bans import Criteria, Visibility
from core.entries import FoundEntry, Pins, Together, export, invalidate_together
from core.errors import StoreUnavailable
from core.invalidation import Preview
from core.wire import readable
from pages.components.data import actions, context, queries
from pages.components.data.context import edits
from pages.components.display.answers import show_answer
from pages.components.display.figures import UNKNOWN, clock, duration, many, milliseconds, money, sentence, size
from pages.components.display.namespaces import shown
from pages.components.display.text import one_line, visible
from pages.components.entries import correcting
from pages.components.entries.correcting import ask_to_correct, ask_to_correct_at, may_be_corrected, versions
from pages.components.entries.elsewhere import elsewhere
from pages.components.entries.recipients import who_got_it
from pages.components.entries.relations import neighbours_of, scope_of
from pages.components.entries.states import look_of
from pages.components.shell import address, next_steps
from pages.components.shell.confirmation import reason_field, warn_without_worker
from pages.components.shell.frame import state
from pages.components.shell.permissions import read_only

TTLS = {"1 minute": 60, "1 hour": 3600, "1 day": 86_400, "7 days": 7 * 86_400, "30 days": 30 * 86_400}
HOLD_SECONDS = 300
TABLE = "entries-table"
SNAPSHOT = "entries-snapshot"
"""Where a session keeps the page that it looks at."""
SHOWN_CHARACTERS = 100_000
"""More of one answer is exported, and not drawn."""


PINNED = (
    "A pinned answer stays fresh for 30 days, and a worker renews that every day. An invalidation still hides it, a "
    "newer answer to the same request replaces it, and Redis may evict it when its memory is full."
)


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """Entries that the dialog asks about, each with a preview taken when it opened."""

    previews: tuple[Preview, ...]
    request_id: str


def may_edit() -> bool:
    """Whether the viewer may change entries, and the store takes writes."""
    return context.actor().may(Action.EDIT_ENTRIES) and state().may_write


def read_only_note() -> None:
    """Draws the reason why the buttons are disabled, if they are."""
    read_only(Action.EDIT_ENTRIES)


def detail(found: FoundEntry) -> None:
    """Draws the entry with its answer as text; nothing of it is interpreted."""
    entry, header = found.entry, found.entry.header
    now = context.now()
    words, icon, colour = look_of(found, now)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.subheader("Entry", anchor=False, width="content")
            st.badge(words, icon=icon, color=colour)
            if header.target is not None:
                st.badge("alias of another entry", icon=":material/link:", color="violet")
            if found.pinned:
                st.badge("pinned", icon=":material/keep:", color="blue", help=PINNED)
            if entry.chunks is not None:
                st.badge("came as a stream", icon=":material/stream:", color="blue")
        _text("Prompt, the last message of the request", entry.prompt, lambda text: st.text(visible(text)))
        if header.target is not None:
            _text("Stands for the entry", f"{found.key.partition('-')[0]}-{header.target.hex()}", st.text)
        else:
            _text("Answer", readable(entry.body), show_answer)
        _actions(found)
        actions.show_last("entry")
        next_steps.show("entry")
        _details(found, now)
        who_got_it(found)
        if header.target is None:
            versions(found, may=may_edit() and may_be_corrected(found))
            elsewhere(found, ask_to_invalidate_at, may=may_edit())
            _further(found)


def _text(label: str, text: str, show: Callable[[str], object]) -> None:
    st.caption(label)
    with st.container(border=True, height="content" if len(text) < 1500 else 320):
        show(text[:SHOWN_CHARACTERS] or "(empty)")
    if len(text) > SHOWN_CHARACTERS:
        st.caption(f"The first {SHOWN_CHARACTERS:,} of {len(text):,} characters; the export holds all of them.")


def _details(found: FoundEntry, now: float) -> None:
    entry, header = found.entry, found.entry.header
    left = header.fresh_until - now
    details = {
        "Model": one_line(header.model),
        "Namespace": shown(header.namespace, queries.naming()),
        "Stored": f"{clock(header.created_at)}, {duration(max(0.0, now - header.created_at))} ago",
        "Fresh until": f"{clock(header.fresh_until)}, " + (f"in {duration(left)}" if left > 0 else "past"),
        "Served": _served(found, now),
        "TTL class": one_line(entry.ttl_class) or UNKNOWN,
        "Tags": ", ".join(one_line(tag, 60) for tag in entry.tags) or "none",
        "Tokens": f"{header.input_tokens:,} in, {header.output_tokens:,} out",
        "Cost, time when asked": f"{money(header.cost_usd)}, {milliseconds(header.latency_ms)}",
        "Stored form": size(found.bytes),
        "Stored under": f"invalidation sequence {header.sequence}",
    }
    with st.grid(4, min_column_width=140, gap="small"):
        for label, value in details.items():
            with st.container(gap=None):
                st.caption(label)
                st.text(visible(value))
    for label, value in {"Namespace id": header.namespace, "Key": found.key, "Scope": header.scope.hex()}.items():
        st.caption(label)
        st.code(value, language=None, wrap_lines=True)


def _served(found: FoundEntry, now: float) -> str:
    """How often it was a hit, and when last."""
    if found.hits is None:
        return UNKNOWN
    if found.hits.last_at is None:
        return "never"
    return f"{many(found.hits.total, 'time')}, last {duration(max(0.0, now - found.hits.last_at))} ago"


def _further(found: FoundEntry) -> None:
    """Draws, when unfolded, what the answer depends on and similar questions."""
    folded = st.expander("Scope and neighbours", icon=":material/hub:", key="entry-further", on_change="rerun")
    if folded.open:
        with folded:
            scope_of(found)
            neighbours_of(found)


def _actions(found: FoundEntry) -> None:
    header = found.entry.header
    may = may_edit()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if header.target is None:
            st.button(
                "Invalidate…",
                key="entry-invalidate",
                icon=":material/block:",
                disabled=not may or found.state in (Visibility.HIDDEN, Visibility.FOREIGN),
                on_click=ask_to_invalidate,
                args=(header.namespace, [found.key]),
            )
            st.button(
                "Correct…",
                key="entry-correct",
                icon=":material/edit:",
                disabled=not may or not may_be_corrected(found),
                on_click=ask_to_correct,
                args=(found,),
                help="Put the right answer in its place at once.",
            )
            with st.popover(
                "Change TTL",
                icon=":material/timer:",
                disabled=not may or found.pinned or found.state is not Visibility.FRESH,
            ):
                st.selectbox("Fresh for, from now on", list(TTLS), index=1, key="entry-ttl")
                st.caption("Its age stays, and invalidations still apply to it.")
                st.button(
                    "Apply",
                    key="entry-keep",
                    type="primary",
                    on_click=_keep_for,
                    args=(found,),
                    disabled=not may,
                )
            _pin_button(found, may=may)
        export_button([found], key="entry-export")
        st.button("Close", key="entry-close", icon=":material/close:", type="tertiary", on_click=close)
    read_only_note()


def _pin_button(found: FoundEntry, *, may: bool) -> None:
    if found.pinned:
        st.button(
            "Unpin", key="entry-unpin", icon=":material/keep_off:", on_click=_unpin, args=(found,), disabled=not may
        )
    elif context.services().pins is not None:
        st.button(
            "Pin",
            key="entry-pin",
            icon=":material/keep:",
            on_click=_pin,
            args=(found,),
            disabled=not may or found.state is not Visibility.FRESH,
            help=PINNED,
        )


def _pins() -> Pins:
    kept = context.services().pins
    if kept is None:
        raise StoreUnavailable("there is no Redis, so nothing can be pinned")
    return kept


def _pin(found: FoundEntry) -> None:
    header = found.entry.header
    actions.perform(
        "entry",
        lambda: _pins().pin(header.namespace, found.key, actor=context.trail()),
        lambda pin: "Pinned: a worker keeps it fresh until it is unpinned or invalidated.",
    )
    look_again()


def _unpin(found: FoundEntry) -> None:
    header = found.entry.header
    actions.perform(
        "entry",
        lambda: _pins().unpin(header.namespace, found.key, actor=context.trail()),
        lambda nothing: "Unpinned: it has the TTL of its class again, from now on.",
    )
    look_again()


def look_again() -> None:
    """Has the page read again on the next run."""
    st.session_state.pop(SNAPSHOT, None)
    context.readings().renew()


def close() -> None:
    """Closes the detail."""
    address.close(TABLE)


def export_button(found: list[FoundEntry], *, key: str) -> None:
    """Draws a button that downloads entries as JSON Lines."""
    st.download_button(
        f"Export {many(len(found), 'entry', 'entries')}",
        export(found),
        file_name="entries.jsonl",
        mime="application/jsonl",
        key=key,
        icon=":material/download:",
        on_click="ignore",
        help="JSON Lines with whole prompts and answers. An entry keeps only the last message of its request.",
    )


def _keep_for(found: FoundEntry) -> None:
    header = found.entry.header
    name: str = st.session_state["entry-ttl"]
    actions.perform(
        "entry",
        lambda: edits().keep_for(header.namespace, found.key, TTLS[name]),
        lambda entry: f"It is fresh for {name} from now on.",
    )
    look_again()


# Invalidating a selection


def ask_to_invalidate(namespace: str, keys: list[str]) -> None:
    """Opens the dialog, with a preview of each."""
    ask_to_invalidate_at([(namespace, key) for key in keys])


def ask_to_invalidate_at(places: list[tuple[str, str]]) -> None:
    """Opens the dialog for entries, each given by its namespace and key, with a preview of each."""

    def look() -> Pending:
        context.actor().require(Action.INVALIDATE)  # a preview alone would ask for no role
        invalidation = context.services().invalidation
        criteria = [Criteria(namespace=namespace, key=key) for namespace, key in places]
        return Pending(previews=tuple(map(invalidation.preview, criteria)), request_id=uuid4().hex[:16])

    actions.forget_last("entry")
    pending = actions.perform("entry-look", look, lambda pending: "")
    if pending is not None:
        actions.forget_last("entry-look")
        st.session_state["entries-pending"] = pending


def dialog() -> None:
    """Draws the dialog if one is open."""
    actions.show_last("entry-look")
    if place := st.session_state.pop(next_steps.CORRECT_AT, None):
        ask_to_correct_at(*place)
    if pending := st.session_state.get("entries-pending"):
        confirm(pending)
    else:
        correcting.dialog()


def _close_dialog() -> None:
    st.session_state.pop("entries-pending", None)


@st.dialog("Invalidate these answers?", icon=":material/warning:", on_dismiss=_close_dialog)
def confirm(pending: Pending) -> None:
    """Asks before entries are invalidated, with what it costs."""
    there = [preview for preview in pending.previews if preview.count]
    st.markdown(f"**{many(len(there), 'entry', 'entries')}** will be hidden from every lookup at once.")
    for preview in there[:5]:
        st.text(one_line(preview.rows[0].prompt, 100))
    if len(there) > 5:
        st.caption(f"And {len(there) - 5} more.")
    cost = sum(preview.cost_usd for preview in there)
    seconds = sum(preview.refetch_seconds for preview in there)
    st.caption(sentence(f"Asking them again costs {money(cost)} and {duration(seconds)}."))
    st.caption(f"Can be undone for {duration(HOLD_SECONDS)} under Invalidations; then a worker deletes them.")
    if len(there) < len(pending.previews):
        st.caption(f"{len(pending.previews) - len(there)} of them are hidden or gone already.")
    warn_without_worker()
    reason = reason_field("entries-reason")
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="entries-cancel"):
            _close_dialog()
            st.rerun()
        if st.button("Invalidate", key="entries-confirm", type="primary", disabled=not there):
            _close_dialog()
            _invalidate(pending, there, reason)
            st.rerun()


def _invalidate(pending: Pending, there: list[Preview], reason: str) -> None:
    look_again()
    if len(there) == 1:
        [preview] = there
        done = actions.invalidate(
            preview.criteria,
            soft=False,
            hold_seconds=HOLD_SECONDS,
            request_id=pending.request_id,
            preview=preview,
            name="entry",
            reason=reason,
        )
        next_steps.remember("entry", () if done is None else (done,))
        return
    together = actions.perform(
        "entry",
        lambda: invalidate_together(
            context.services().invalidation,
            [(preview.namespace, preview.criteria.key or "") for preview in there],
            actor=context.trail(),
            hold_seconds=HOLD_SECONDS,
            request_id=pending.request_id,
            reason=reason,
        ),
        _together_words,
    )
    next_steps.remember("entry", () if together is None else together.done)


def _together_words(done: Together) -> str:
    if done.problem:
        return f"{len(done.done)} of {done.asked} answers are hidden. Then it stopped: {done.problem}."
    return f"{many(len(done.done), 'entry is', 'entries are')} hidden from every lookup now."
