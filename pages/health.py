"""Health: what is configured, what is reachable, what is wrong, and whether scopes are kept apart."""

from __future__ import annotations

import msgspec
import pandas as pd
import streamlit as st

from core.access import Action
from core.doctor import CHECKUP_SECONDS, Check, Diagnosis, Finding, Level, Looked, check_isolation
from core.errors import CacheError
from core.stores import Persistence, StoreInfo
from pages.components.data import context
from pages.components.data.context import checkup
from pages.components.display.figures import UNKNOWN, clock, many, number, size
from pages.components.display.outcomes import Colour
from pages.components.display.text import error_sentence, plain, visible
from pages.components.display.tiles import draw_boxed
from pages.components.health.namespaces import namespaces
from pages.components.shell import bypass_switch
from pages.components.shell.frame import frame, state
from pages.components.shell.permissions import read_only

LOOKS: dict[Level, tuple[str, Colour, str]] = {
    Level.OK: (":material/check_circle:", "green", "in order"),
    Level.WARNING: (":material/warning:", "orange", "to check"),
    Level.ERROR: (":material/error:", "red", "wrong"),
}
_column = st.column_config
_CHECK_COLUMNS = {
    "asked": _column.TextColumn("Asked", width=330),
    "must be": _column.TextColumn("Expected", width=150),
    "was": _column.TextColumn("Found", width=150),
    "result": _column.TextColumn("Result", width=90),
}
_SETTING_COLUMNS = {
    "variable": _column.TextColumn("Variable", width=215),
    "value": _column.TextColumn("Value", width=170),
    "from": _column.TextColumn("From", width=70),
    "meaning": _column.TextColumn("Meaning", width="large"),
}


def page() -> None:
    if not frame("Health", "What is configured, what can be reached, what is wrong and how to fix it."):
        return
    st.fragment(condition, run_every=CHECKUP_SECONDS)()
    diagnosis = checkup().look(context.services()).diagnosis
    namespaces()
    _settings(diagnosis)
    _diagnostics(diagnosis)


def condition() -> None:
    """Draws findings, store and self-test, renewed every few seconds."""
    looked = _look()
    _findings(looked)
    _server()
    bypass_switch.section()
    _self_test()


def _look() -> Looked:
    afresh = st.session_state.pop("health-look-again", False)
    if checkup().has_looked and not afresh:
        return checkup().look(context.services())
    with st.spinner("Checking everything…"):  # seconds, where something does not answer
        return checkup().look(context.services(), afresh=afresh)


def _look_again() -> None:
    st.session_state["health-look-again"] = True
    context.readings().renew()


def _findings(looked: Looked) -> None:
    diagnosis = looked.diagnosis
    found = {level: [finding for finding in diagnosis.findings if finding.level is level] for level in Level}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if diagnosis.worst is Level.OK:
            st.badge("everything in order", icon=LOOKS[Level.OK][0], color="green")
        else:
            for level in reversed(Level):
                if found[level]:
                    icon, colour, word = LOOKS[level]
                    st.badge(f"{len(found[level])} {word}", icon=icon, color=colour)
        st.caption(_when(looked), width="stretch")
        st.button("Check again", key="look_again", icon=":material/refresh:", on_click=_look_again)
    for level in (Level.ERROR, Level.WARNING):
        for finding in found[level]:
            with st.container(border=True, gap="xxsmall"):
                _finding(finding)
    if found[Level.OK]:
        with st.container(border=True, gap="small"):
            for finding in found[Level.OK]:
                _finding(finding)


def _when(looked: Looked) -> str:
    at, outside_at = looked.diagnosis.at, looked.outside_at
    words = f"Checked at {clock(at)}, and every {CHECKUP_SECONDS:.0f} seconds"
    if at - outside_at > CHECKUP_SECONDS:
        asked = "provider and embedder were" if context.services().semantic else "the provider was"
        words += f"; {asked} asked at {clock(outside_at)}"
    return f"{words}."


def _finding(finding: Finding) -> None:
    icon, colour, word = LOOKS[finding.level]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(word, icon=icon, color=colour)
        st.caption(finding.area.capitalize(), width="content")
        if finding.level is Level.OK:
            st.text(visible(finding.text), width="content")
    if finding.level is not Level.OK:
        st.text(visible(finding.text))
        if finding.remedy:
            st.caption(plain(finding.remedy.replace("`", "")))


def _server() -> None:
    st.subheader("Store", anchor=False)
    store: StoreInfo | None = state().store
    if store is None:
        st.caption("Unknown: the store has not answered yet.")
        return
    limit = (
        f"of {size(store.max_bytes)}" if store.max_bytes else "no limit" if store.used_bytes is not None else UNKNOWN
    )
    with st.grid(4, min_column_width=150):
        draw_boxed("Kind", f"{store.product or store.kind} {store.version}".strip().capitalize(), _replication(store))
        draw_boxed("Memory", size(store.used_bytes), limit)
        draw_boxed("Evicted", number(store.evicted), store.policy or "nothing is evicted")
        draw_boxed(
            "Writes",
            "accepted" if store.writable else "refused",
            _KEPT[store.persistence],
        )


_KEPT = {
    Persistence.UNKNOWN: "unknown whether kept on disk",
    Persistence.NOTHING: "not kept on disk",
    Persistence.SNAPSHOTS: "kept by snapshots",
    Persistence.LOG: "kept on disk",
}


def _replication(store: StoreInfo) -> str:
    if not store.role:
        return "this process" if store.kind == "memory" else "state not known"
    if store.role != "master":
        return "replica: takes no writes"
    return f"primary, {many(store.replicas, 'replica')}" if store.replicas else "primary, no replica"


def _self_test() -> None:
    st.subheader("Isolation self-test", anchor=False)
    st.caption(
        "Stores a test entry in one scope, then looks for it there, from other scopes, and after its invalidation."
    )
    st.button(
        "Run the self-test",
        key="self_test",
        icon=":material/verified_user:",
        on_click=_run_self_test,
        disabled=not context.actor().may(Action.TEST_ISOLATION) or not state().may_write,
    )
    read_only(Action.TEST_ISOLATION)
    result = st.session_state.get("isolation")
    if isinstance(result, str):
        st.error(f"The self-test could not run: {result}", icon=":material/error:")
    elif result:
        checks: tuple[Check, ...] = result
        failed = [check for check in checks if not check.passed]
        at = clock(st.session_state["isolation-at"])
        if failed:
            st.error(f"Scopes are NOT kept apart, as of {at}. Stop serving from this cache.", icon=":material/gpp_bad:")
        else:
            st.success(f"All {len(checks)} checks passed at {at}: nothing crosses scopes.", icon=":material/gpp_good:")
        rows = [
            {
                "asked": check.name,
                "must be": check.expected,
                "was": check.seen,
                "result": "passed" if check.passed else "FAILED",
            }
            for check in checks
        ]
        st.dataframe(
            pd.DataFrame(rows),
            column_config=_CHECK_COLUMNS,
            hide_index=True,
            key="isolation_checks",
            placeholder=UNKNOWN,
            alt="Checks of the self-test",
        )


def _run_self_test() -> None:
    st.session_state["isolation-at"] = context.now()
    try:
        st.session_state["isolation"] = check_isolation(
            context.services().store, now=context.now(), actor=context.actor()
        )
    except CacheError as error:
        st.session_state["isolation"] = error_sentence(error)


def _settings(diagnosis: Diagnosis) -> None:
    st.subheader("Settings", anchor=False)
    st.caption("The values in force; secrets are masked. Set them as environment variables or in `.env`.")
    rows = [
        {
            "variable": setting.variable,
            "value": visible(setting.value),
            "from": "set" if setting.is_set else "default",
            "meaning": setting.description.replace("`", ""),
        }
        for setting in diagnosis.settings
    ]
    only = st.toggle("Only what is set", key="only_set")
    table = pd.DataFrame([row for row in rows if not only or row["from"] == "set"], columns=list(rows[0]))
    st.dataframe(
        table, column_config=_SETTING_COLUMNS, hide_index=True, key="settings", placeholder="", alt="Effective settings"
    )


def _diagnostics(diagnosis: Diagnosis) -> None:
    with st.expander("Diagnostics to copy", icon=":material/content_copy:"):
        st.caption(f"As of {clock(diagnosis.at)}; secrets are masked.")
        text = msgspec.json.format(msgspec.json.encode(diagnosis.to_dict()), indent=1).decode()
        st.code(text, language=None, height=320)


page()
