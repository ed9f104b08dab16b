"""Quality: how often near matches were wrong, what judging costs, and from which cosine on they may be served."""

from __future__ import annotations

from collections.abc import Callable, Collection

import streamlit as st

from core.keys import names
from core.models import SemanticMode
from pages.components.data import actions, context, queries, semantic
from pages.components.data.semantic import EVIDENCE_SECONDS
from pages.components.data.view import EVIDENCE_WINDOWS, EvidenceView
from pages.components.display.figures import many
from pages.components.display.namespaces import named
from pages.components.display.placeholder import placeholder
from pages.components.quality.everywhere import everywhere
from pages.components.quality.lab import lab
from pages.components.quality.mode import conversations_off, mode, off
from pages.components.quality.near_index import near_index
from pages.components.quality.publish import confirm, history, proposals
from pages.components.quality.report import figures
from pages.components.quality.review import review
from pages.components.shell.address import put, visit
from pages.components.shell.frame import frame, nothing_yet
from pages.components.shell.namespace_choice import ALL, choose_namespace

SINGLE = "single questions"
KINDS: dict[str, Callable[[str], str]] = {SINGLE: str, "conversations": names.conversations_in}
"""What evidence is of, by its name on the page and in the URL: each kind has its own."""


def page() -> None:
    if not frame("Quality", "How often near matches were wrong, what judging them costs, and when they may be served."):
        return
    view = controls()
    near_index()
    is_conversations = view.namespace != names.namespace_in(view.namespace)
    if view.namespace == ALL:
        st.fragment(everywhere, run_every=EVIDENCE_SECONDS)(view)
        return
    state = semantic.threshold_state(view.namespace)
    if state.value is None:
        nothing_yet(state)
        return
    threshold, versions = state.value
    mode(view.namespace, threshold, versions)
    actions.show_last("threshold")
    report = semantic.evidence(view)
    if report.value is None:
        nothing_yet(report)
    elif threshold.mode is SemanticMode.OFF and not report.value.labels:
        conversations_off() if is_conversations else off(view.namespace)
    elif not report.value.lookups and not report.value.labels:
        empty(view)
    else:
        st.fragment(figures_and_review, run_every=EVIDENCE_SECONDS)(view)
        if not is_conversations:  # nothing of them is served unjudged, whatever the threshold
            lab(view, threshold)
    proposals(view, threshold, report.value)
    history(view.namespace, threshold, versions)
    if change := st.session_state.get("threshold-change"):
        confirm(change)


def figures_and_review(view: EvidenceView) -> None:
    """Draws the figures and the review in one: a label given in the review changes the figures at once."""
    above, below = st.container(), st.container()
    with below:  # first: the next pair need not wait for the figures
        st.subheader("Review", anchor=False)
        st.caption("Your label on a pair counts before the judge's, and shows whether the judge can be trusted.")
        review(view.namespace)
    with above:
        figures(view)


def controls() -> EvidenceView:
    """Draws the controls; returns the namespace and the window."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        published = semantic.namespaces_with_threshold().value or ()
        namespace = choose_namespace(also=map(names.namespace_in, published), or_all=True, width=220)
        if namespace != ALL and _has_conversations(namespace, published):
            kind = st.segmented_control(
                "Of", list(KINDS), default=SINGLE, key="quality_of", bind="query-params", required=True
            )
            namespace = KINDS[kind or SINGLE](namespace)
        window = st.segmented_control(
            "Evidence",
            list(EVIDENCE_WINDOWS),
            default="all",
            key="quality_window",
            bind="query-params",
            required=True,
        )
    return EvidenceView(namespace=namespace, window=window or "all")


def _has_conversations(namespace: str, published: Collection[str]) -> bool:
    """Whether conversations are compared there, or were."""
    subject = names.conversations_in(namespace)
    if context.services().settings.semantic_conversations != "off" or subject in published:
        return True
    return any(one.namespace == subject for one in semantic.evidence_of_all("all").value or ())


def empty(view: EvidenceView) -> None:
    """Draws the page without evidence: where evidence comes from."""
    others = [one for one in semantic.evidence_of_all(view.window).value or () if one.namespace != view.namespace]
    if others:
        lookups, naming = sum(one.lookups for one in others), queries.naming(one.namespace for one in others)
        listed = ", ".join(named(one.namespace, naming) for one in sorted(others, key=lambda one: -one.lookups)[:5])
        placeholder(
            f":material/hourglass_empty: **No evidence in {named(view.namespace, naming)}**",
            f"Other namespaces have evidence, from {many(lookups, 'lookup')}: {listed}.",
            _all_button,
        )
    elif view.is_everything:
        placeholder(
            ":material/hourglass_empty: **No evidence yet**",
            "Evidence comes from requests whose exact words were not asked before. Ask one question in two wordings "
            "in the playground: the near match appears here, with what the guards and the judge said.",
            _playground_button,
        )
    else:
        placeholder(f":material/hourglass_empty: **No evidence in the {view.words}**", "Choose a longer range.")


def _all_button() -> None:
    st.button(
        "Show all namespaces", key="quality-all", icon=":material/select_all:", on_click=put, args=("namespace", ALL)
    )


def _playground_button() -> None:
    if st.button("Open the playground", key="to-playground", icon=":material/chat:"):
        visit("pages/playground.py")


page()
