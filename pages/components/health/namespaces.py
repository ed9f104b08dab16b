"""What namespaces are called: the list of them, and the dialog that gives one a label."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pandas as pd
import streamlit as st

from core.access import Action
from core.namespaces import LONGEST_LABEL, LONGEST_OWNER, Colour, NamespaceLabel, Naming
from pages.components.data import actions, context, queries
from pages.components.display.figures import UNKNOWN, many
from pages.components.display.namespaces import named, shown
from pages.components.display.text import literal, one_line
from pages.components.shell.frame import nothing_yet, state
from pages.components.shell.permissions import read_only

ASKED = "namespace-asked"
SHOWN = 10
"""Namespaces from which on they can be searched."""
COLUMNS: dict[str, Any] = {
    "name": st.column_config.TextColumn("Namespace", width=190),
    "owner": st.column_config.TextColumn("Owner", width=150),
    "colour": st.column_config.TextColumn("Colour", width=80),
    "source": st.column_config.TextColumn("Label from", width=110),
    "namespace": st.column_config.TextColumn("Namespace id", width="medium"),
}


def namespaces() -> None:
    """Draws the namespaces with their labels, and the button that changes the label of the selected one."""
    st.subheader("Namespaces", anchor=False)
    st.caption("What each namespace is called on every screen. Requests and criteria still use its id.")
    reading = queries.known_naming()
    if reading.value is None:
        nothing_yet(reading)
        return
    labels = reading.value.labels
    ids = list(dict.fromkeys([*queries.namespaces(), *sorted(labels)]))
    naming = queries.naming(ids)
    if len(ids) > SHOWN:
        text = st.text_input("Find", key="namespace-find", placeholder="A label, an owner or an id", live=True) or ""
        ids = [one for one in ids if _has(one, naming, text)]
        st.caption(many(len(ids), "namespace") if ids else "None match.")
    chosen = _table(ids, labels, naming) if ids else None
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            "Change the label…",
            key="namespace-label",
            icon=":material/label:",
            disabled=chosen is None or not context.actor().may(Action.LABEL_NAMESPACE) or not state().may_write,
        ):
            actions.forget_last("namespace-label")
            st.session_state[ASKED] = chosen
        st.caption("Select a namespace first." if chosen is None else f"Selected: {named(chosen, naming)}")
    read_only(Action.LABEL_NAMESPACE)
    if asked := st.session_state.get(ASKED):
        _dialog(asked, labels.get(asked))
    else:
        actions.show_last("namespace-label")


def _has(namespace: str, naming: Naming, text: str) -> bool:
    given = naming.label(namespace)
    words = f"{naming.shown(namespace)} {given.owner if given else ''} {namespace}"
    return text.strip().casefold() in words.casefold()


def _table(ids: list[str], labels: Mapping[str, NamespaceLabel], naming: Naming) -> str | None:
    """Draws the table; returns the selected namespace."""
    configured = context.services().labels.configured
    rows = []
    for one in ids:
        given = naming.label(one)
        rows.append(
            {
                "name": shown(one, naming),
                "owner": one_line(given.owner) if given else "",
                "colour": given.colour.value if given and given.colour else "",
                "source": "the settings" if one in configured else "an admin" if one in labels else "",
                "namespace": one,
            }
        )
    # A selection is of rows: with other rows it must be another table.
    event: Any = st.dataframe(
        pd.DataFrame(rows, columns=list(COLUMNS)),
        column_config=COLUMNS,
        hide_index=True,
        height=min(38 + 35 * len(ids), 400),
        key=f"namespaces-{sha256(' '.join(ids).encode()).hexdigest()[:16]}",
        placeholder=UNKNOWN,
        alt="Namespaces with their labels",
        on_select="rerun",
        selection_mode="single-row",
    )
    chosen = [ids[row] for row in event.selection.rows if row < len(ids)]
    return chosen[0] if chosen else None


def _close() -> None:
    st.session_state.pop(ASKED, None)


@st.dialog("What is this namespace called?", icon=":material/label:", on_dismiss=_close)
def _dialog(namespace: str, given: NamespaceLabel | None) -> None:
    """Asks for a label, an owner and a colour."""
    st.caption("Namespace id")
    st.code(namespace, language=None, wrap_lines=True)
    if namespace in context.services().labels.configured:
        st.info(
            f"`ENCORE_NAMESPACE_LABELS` calls it {literal(given.label if given else namespace)}. Change it there.",
            icon=":material/settings:",
        )
        if st.button("Close", key="label-close"):
            _close()
            st.rerun()
        return
    text = st.text_input(
        "Label", given.label if given else "", max_chars=LONGEST_LABEL, key=f"label-{namespace}", placeholder="Support"
    )
    owner = st.text_input(
        "Owner",
        given.owner if given else "",
        max_chars=LONGEST_OWNER,
        key=f"owner-{namespace}",
        placeholder="team-support",
        help="A team, a person or an address: whom to ask at night.",
    )
    colour = st.pills(
        "Colour",
        [one.value for one in Colour],
        default=given.colour.value if given and given.colour else None,
        format_func=lambda one: f":{one}[●] {one}",
        key=f"colour-{namespace}",
        wrap=True,
    )
    notice = st.container()
    with st.container(horizontal=True, horizontal_alignment="right"):
        if given is not None and st.button("Remove the label", key="label-remove", icon=":material/label_off:"):
            _end(done=actions.unlabel_namespace(namespace) is not None)
        if st.button("Cancel", key="label-cancel"):
            actions.forget_last("namespace-label")
            _end(done=True)
        if st.button("Save", key="label-save", type="primary"):
            _end(done=actions.label_namespace(namespace, text or "", owner=owner or "", colour=colour) is not None)
    with notice:  # what was refused just now
        actions.show_last("namespace-label")


def _end(*, done: bool) -> None:
    """Closes the dialog when it is done; else it stays, and says why not."""
    if done:
        _close()
        st.rerun()
