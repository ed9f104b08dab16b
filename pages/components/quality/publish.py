"""Publishing a threshold: proposal, confirmation, history."""

from __future__ import annotations

import msgspec
import streamlit as st

from core.access import Action
from core.configuration import configured_conversations, configured_threshold
from core.errors import CacheError
from core.keys import names
from core.models import SemanticMode
from core.semantic.quality import BUDGETS, EvidenceReport, Proposal, Published, Threshold, labels_needed
from pages.components.data import actions, context, queries, semantic
from pages.components.data.view import EvidenceView
from pages.components.display.figures import UNKNOWN, share
from pages.components.display.namespaces import named, told
from pages.components.display.text import error_sentence, plain
from pages.components.quality import tables
from pages.components.quality.mode import LOOKS
from pages.components.shell.permissions import read_only

WORD = "unproven"
"""Has to be typed to serve before the bound holds."""


def is_of_conversations(namespace: str) -> bool:
    """Whether a threshold is for conversations, of which nothing is served unjudged."""
    return namespace != names.namespace_in(namespace)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A threshold to put in force, not confirmed yet.

    With `version` an earlier one; version 0 is the configured one.
    """

    namespace: str
    seen: Threshold
    to: Threshold
    version: int | None = None
    why: str = ""


def proposals(view: EvidenceView, threshold: Threshold, report: EvidenceReport | None) -> None:
    """Draws what labels support, with buttons that publish it or another threshold."""
    st.subheader("Threshold", anchor=False)
    may = context.actor().may(Action.PUBLISH_THRESHOLD)
    if report is not None and report.labels and not is_of_conversations(view.namespace):
        with st.grid(len(BUDGETS), min_column_width=230):
            for proposal in report.proposals:
                with st.container(border=True, height="stretch"):
                    _proposal(view, threshold, proposal, may)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button("Set it by hand…", key="by-hand", icon=":material/tune:", disabled=not may):
            _ask(Change(namespace=view.namespace, seen=threshold, to=threshold))
        read_only(Action.PUBLISH_THRESHOLD)


def _proposal(view: EvidenceView, threshold: Threshold, proposal: Proposal, may: bool) -> None:
    st.markdown(f"**At most {share(proposal.budget, 0)} false hits**")
    if proposal.threshold is None:
        st.metric("Serve from", UNKNOWN)
        st.caption(plain(f"{proposal.reason[:1].upper()}{proposal.reason[1:]}."))
        return
    st.metric("Serve from", f"{proposal.threshold:.3f}")
    st.caption(
        f"{proposal.errors} wrong of {proposal.labels} held-out labels: at most {share(proposal.bound)}. "
        f"{plain(proposal.reason[:1].upper() + proposal.reason[1:])}."
    )
    is_in_force = threshold.serve == proposal.threshold and threshold.mode is not SemanticMode.OFF
    if st.button(
        "In force" if is_in_force else f"Publish {proposal.threshold:.3f}…",
        key=f"publish-{proposal.budget:g}",
        icon=":material/publish:",
        disabled=not may or is_in_force,
    ):
        on = SemanticMode.JUDGE if threshold.mode is SemanticMode.OFF else threshold.mode
        to = msgspec.structs.replace(
            threshold, mode=on, serve=proposal.threshold, grey=min(threshold.grey, proposal.threshold)
        )
        why = f"{share(proposal.budget, 0)} budget: {proposal.errors} wrong of {proposal.labels} held-out labels"
        _ask(Change(namespace=view.namespace, seen=threshold, to=to, why=why))


def _ask(change: Change) -> None:
    for name in (
        "change-mode",
        "change-unjudged",
        "change-serve",
        "change-fixed",
        "change-grey",
        "change-why",
        "change-typed",
    ):
        st.session_state.pop(name, None)
    actions.forget_last("threshold")
    st.session_state["threshold-change"] = change


def _close() -> None:
    st.session_state.pop("threshold-change", None)


@st.dialog("Put this threshold in force?", icon=":material/warning:", on_dismiss=_close)
def confirm(change: Change) -> None:
    """Asks before a threshold is published, with what labels say about it."""
    if semantic.threshold_state(change.namespace).value is None:
        st.error("Redis does not answer: nothing can be changed now.", icon=":material/cloud_off:")
        return
    naming = queries.naming()
    st.markdown(
        f"Namespace {named(change.namespace, naming)}. In force now: {_words(change.seen)}.",
        help=told(change.namespace, naming),
    )
    if change.version is None:
        chosen, why = _edited(change)
    else:
        chosen, why = change.to, ""
        name = f"version {change.version}" if change.version else "what is configured"
        st.markdown(f"Back to **{name}**: {_words(chosen)}.")
    is_upside_down = chosen.serve is not None and chosen.grey > chosen.serve
    if is_upside_down:
        st.error("The cosine to judge from is above the cosine to serve from: nothing would be judged.")
    is_at_once = not is_upside_down and _support(change, chosen) and _at_once(change)
    is_other = not _same(chosen, change.seen) or is_at_once != change.seen.unproved
    is_change = change.version is not None or is_other
    with st.container(horizontal=True, horizontal_alignment="right"):
        if st.button("Cancel", key="change-cancel"):
            _close()
            st.rerun()
        if st.button(
            "Publish" if change.version is None else "Roll back",
            key="change-confirm",
            type="primary",
            disabled=is_upside_down or not is_change,
        ):
            _close()
            if change.version is not None:
                actions.roll_back_threshold(change.namespace, change.version)
            else:
                actions.publish_threshold(change.namespace, chosen, seen=change.seen, note=why, unsupported=is_at_once)
            st.rerun()


def _at_once(change: Change) -> bool:
    """Asks whether to serve at once, before the bound holds, by a typed word."""
    if change.version is not None:
        return False
    if not context.actor().may(Action.PUBLISH_UNSUPPORTED):
        read_only(Action.PUBLISH_UNSUPPORTED)
        return False
    typed = st.text_input(
        f"Type {WORD} to serve at once, without proof", key="change-typed", live=True, autocomplete="off"
    )
    return (typed or "").strip().lower() == WORD


def _edited(change: Change) -> tuple[Threshold, str]:
    """Draws the dialog's fields. Returns the threshold they describe, and the note."""
    to = change.to
    chosen = st.segmented_control(
        "Mode",
        [SemanticMode.OFF, SemanticMode.JUDGE] if is_of_conversations(change.namespace) else list(SemanticMode),
        default=to.mode,
        format_func=lambda mode: f"{LOOKS[mode][0]} {mode.value}",
        key="change-mode",
        required=True,
    )
    mode = chosen or to.mode
    serve = to.serve
    grey, is_fixed = to.grey, to.grey_fixed
    is_unjudged = mode is SemanticMode.SERVE
    if mode is SemanticMode.JUDGE and not is_of_conversations(change.namespace):
        is_unjudged = st.toggle(
            "Serve without the judge from a threshold on", value=to.serve is not None, key="change-unjudged"
        )
        serve = serve if is_unjudged else None
    if is_unjudged:
        serve = st.number_input("Serve from", 0.5, 1.0, to.serve or 0.97, 0.005, "%.3f", key="change-serve")
    if mode is SemanticMode.JUDGE:
        is_fixed = st.toggle(
            "Fix the cosine to judge from",
            value=to.grey_fixed,
            key="change-fixed",
            help="Else evidence moves it: lower where more calls pay, higher where they do not.",
        )
        if is_fixed:
            grey = st.number_input("Judge from", 0.3, 1.0, to.grey, 0.005, "%.3f", key="change-grey")
        elif serve is not None:
            grey = min(grey, serve)
    elif serve is not None:
        grey = min(grey, serve)
    why = st.text_input("Why", change.why, max_chars=200, key="change-why", help="For the audit log. Quote no prompt.")
    chosen_threshold = Threshold(mode=mode, grey=grey, serve=serve, version=change.seen.version, grey_fixed=is_fixed)
    return chosen_threshold, why or ""


def _same(one: Threshold, other: Threshold) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in ("mode", "grey", "serve", "grey_fixed"))


def _words(threshold: Threshold) -> str:
    if threshold.mode is SemanticMode.OFF:
        return "off"
    serve = "nothing is served unjudged" if threshold.serve is None else f"served from {threshold.serve:.3f} on"
    fixed = " (set by hand)" if threshold.grey_fixed else ""
    judged = f", judged from {threshold.grey:.3f} on{fixed}" if threshold.mode is SemanticMode.JUDGE else ""
    return f"{threshold.mode.value}, {serve}{judged}"


def _support(change: Change, to: Threshold) -> bool:
    """Draws what labels so far say of a threshold, and how it begins. Returns whether it is to serve anything."""
    if to.mode is SemanticMode.OFF or to.serve is None:
        return False
    budget = context.services().settings.false_hit_budget
    try:
        point = context.services().evidence.support(change.namespace, to.serve)
    except CacheError as error:
        st.error(f"The labels could not be read. {error_sentence(error)}", icon=":material/cloud_off:")
        return False
    words = f"Labels at or above {to.serve:.3f}: {point.labels}, of which {point.errors} wrong"
    words += f"; at most {share(point.bound)} wrong with 95 % confidence." if point.labels else "."
    begins = (
        f"It begins with the judge asked first: after {labels_needed(budget)} labels without an error hits are served "
        "without it."
    )
    if point.bound <= budget:
        st.success(f"{words} Within the budget of {share(budget, 0)}. {begins}", icon=":material/check_circle:")
    else:
        st.warning(
            f"{words} **The budget of {share(budget, 0)} is not proved.** {begins}",
            icon=":material/warning:",
        )
    return True


def history(namespace: str, threshold: Threshold, versions: list[Published]) -> None:
    """Draws all versions, and a button that rolls back to one of them."""
    if not versions:
        st.caption("No threshold was published for this namespace: what is configured is in force.")
        return
    st.markdown("**Versions**")
    configure = configured_conversations if is_of_conversations(namespace) else configured_threshold
    configured = configure(context.services().settings)
    st.dataframe(
        tables.versions(versions, configured),
        column_config=tables.VERSION_COLUMNS,
        hide_index=True,
        height=min(35 * len(versions) + 38, 300),
        key="versions",
        placeholder=UNKNOWN,
        alt="Versions of the threshold, the latest first",
    )
    may = context.actor().may(Action.PUBLISH_THRESHOLD)
    earlier = {one.version: one.threshold or configured for one in versions[1:]} | {0: configured}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.selectbox(
            "Back to",
            list(earlier),
            format_func=lambda number: f"Version {number}" if number else "As configured",
            key="roll-back-to",
            width=200,
        )
        if st.button("Roll back…", key="roll-back", icon=":material/undo:", disabled=not may):
            _ask(Change(namespace=namespace, seen=threshold, to=earlier[chosen or 0], version=chosen or 0))
