"""Health: what is configured, what is reachable, what is wrong, and whether scopes are kept apart."""

from __future__ import annotations

import time

import msgspec
import pandas as pd
import streamlit as st

from core.access import Action
from core.doctor import Diagnosis, Finding, Level, diagnose
from core.errors import CacheError
from core.isolation import Check, check_isolation
from core.stores.base import StoreFacts
from pages.components import context
from pages.components.frame import frame, state, told
from pages.components.text import visible
from pages.components.wording import UNKNOWN, clock, many, number, size

LOOKS = {
    Level.OK: (":material/check_circle:", "green", "in order"),
    Level.WARNING: (":material/warning:", "orange", "worth a look"),
    Level.ERROR: (":material/error:", "red", "wrong"),
}
_column = st.column_config
_SETTING_COLUMNS = {
    "variable": _column.TextColumn(width=210),
    "value": _column.TextColumn(width=190),
    "from": _column.TextColumn(width=70),
    "meaning": _column.TextColumn(width="large"),
}


def page() -> None:
    if not frame("Health", "What is configured and reachable, what is wrong and how to mend it."):
        return
    diagnosis = _diagnosis()
    _findings(diagnosis)
    _server()
    _self_test()
    _settings(diagnosis)
    _diagnostics(diagnosis)


def _diagnosis() -> Diagnosis:
    """The doctor's last word in this session; he takes seconds where something does not answer."""
    if "diagnosis" not in st.session_state:
        with st.spinner("Looking at everything…"):
            st.session_state["diagnosis"] = diagnose(context.services())
    found: Diagnosis = st.session_state["diagnosis"]
    return found


def _forget_diagnosis() -> None:
    st.session_state.pop("diagnosis", None)


def _findings(diagnosis: Diagnosis) -> None:
    icon, colour, word = LOOKS[diagnosis.worst]
    with st.container(horizontal=True, vertical_alignment="center"):
        bad = sum(finding.level is not Level.OK for finding in diagnosis.findings)
        st.badge("Everything in order" if not bad else f"{many(bad, 'finding')}, {word}", icon=icon, color=colour)
        st.caption(f"looked at {clock(diagnosis.at)}")
        st.button("Look again", key="look_again", icon=":material/refresh:", on_click=_forget_diagnosis)
    for finding in sorted(diagnosis.findings, key=lambda finding: -list(Level).index(finding.level)):
        _finding(finding)


def _finding(finding: Finding) -> None:
    icon, colour, word = LOOKS[finding.level]
    with st.container(border=True, gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(word, icon=icon, color=colour)
            st.caption(finding.area)
        st.text(visible(finding.text))
        if finding.remedy:
            st.caption(visible(finding.remedy).replace("`", ""))


def _server() -> None:
    st.subheader("Store", anchor=False)
    facts: StoreFacts | None = state().facts
    if facts is None:
        st.caption("Nothing is known of it: it has not answered yet.")
        return
    limit = size(facts.max_bytes) if facts.max_bytes else "no limit"
    with st.grid(4, min_column_width=150):
        _tile("Kind", f"{facts.kind} {facts.version}".strip().capitalize(), _replication(facts))
        _tile("Memory", size(facts.used_bytes), f"of {limit}")
        _tile("Evicted", number(facts.evicted), facts.policy or "nothing is evicted")
        _tile(
            "Writes",
            "taken" if facts.writable else "refused",
            "kept on disk" if facts.persistent else "not kept on disk",
        )


def _replication(facts: StoreFacts) -> str:
    if not facts.role:
        return "this process"
    if facts.role != "master":
        return "replica: takes no writes"
    return f"primary, {many(facts.replicas, 'replica')}" if facts.replicas else "primary, no replica"


def _tile(label: str, value: str, below: str) -> None:
    with st.container(border=True, gap=None, height="stretch"):
        st.metric(label, value)
        st.caption(below)


def _self_test() -> None:
    st.subheader("Isolation self-test", anchor=False)
    st.caption("Stores a canary in one scope, and looks for it there, from other scopes and after its invalidation.")
    st.button(
        "Run the self-test",
        key="self_test",
        icon=":material/verified_user:",
        on_click=_run_self_test,
        disabled=not context.actor().may(Action.TEST_ISOLATION) or not state().may_write,
    )
    result = st.session_state.get("isolation")
    if isinstance(result, str):
        st.error(f"The self-test could not run: {result}", icon=":material/error:")
    elif result:
        checks: tuple[Check, ...] = result
        failed = [check for check in checks if not check.passed]
        if failed:
            st.error("Scopes are NOT kept apart. Stop serving from this cache.", icon=":material/gpp_bad:")
        else:
            st.success(f"All {len(checks)} checks passed: nothing crosses scopes.", icon=":material/gpp_good:")
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
            hide_index=True,
            key="isolation_checks",
            placeholder=UNKNOWN,
            alt="Checks of the self-test",
        )


def _run_self_test() -> None:
    try:
        st.session_state["isolation"] = check_isolation(
            context.services().store, now=time.time(), actor=context.actor()
        )
    except CacheError as error:
        st.session_state["isolation"] = told(error)


def _settings(diagnosis: Diagnosis) -> None:
    st.subheader("Settings", anchor=False)
    st.caption("As they are in force; secrets are masked. Set them as environment variables or in `.env`.")
    rows = [
        {
            "variable": setting.variable,
            "value": visible(setting.value),
            "from": "set" if setting.is_set else "default",
            "meaning": setting.description.replace("`", ""),
        }
        for setting in diagnosis.settings
    ]
    only = st.toggle("Only those that are set", key="only_set")
    table = pd.DataFrame([row for row in rows if not only or row["from"] == "set"], columns=list(rows[0]))
    st.dataframe(
        table, column_config=_SETTING_COLUMNS, hide_index=True, key="settings", placeholder="", alt="Effective settings"
    )


def _diagnostics(diagnosis: Diagnosis) -> None:
    with st.expander("Diagnostics to copy", icon=":material/content_copy:"):
        text = msgspec.json.format(msgspec.json.encode(diagnosis.to_dict()), indent=1).decode()
        st.code(text, language=None, height=320)


page()
