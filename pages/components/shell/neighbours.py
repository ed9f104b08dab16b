"""The nearest stored questions to a request: how near they are, and what keeps each from being served or not."""

from __future__ import annotations

import streamlit as st

from core.errors import CacheError
from core.keys import Identity
from core.models import ChatRequest, Controls, SemanticMode
from core.semantic import Neighbour
from core.semantic.quality import Pair, Threshold, pair_id
from pages.components.data import context, semantic
from pages.components.display import tables
from pages.components.display.figures import UNKNOWN
from pages.components.display.text import error_sentence

SHOWN = 5


def neighbours(request: ChatRequest, controls: Controls, *, key: str) -> None:
    """Draws the nearest stored questions, where semantic lookup is on. Judges and counts nothing."""
    keyed = context.services().cache.identify(request, controls).keyed
    if keyed is None:
        return
    try:
        nearest_table(keyed.identity, key=key, heading="**Nearest stored questions**")
    except CacheError as error:
        st.caption(f"The nearest stored questions could not be read. {error_sentence(error)}")


def nearest_table(identity: Identity, *, key: str, heading: str = "") -> bool:
    """Draws the questions of the scope that are nearest by embedding; returns False where semantic lookup is off.

    Raises StoreUnavailable.
    """
    built = context.services()
    if built.semantic is None or not built.semantic.applies(identity):
        return False
    threshold = built.thresholds.current(identity.namespace)
    with st.spinner("Searching for the nearest questions…"):
        found = built.semantic.explain(built.store, built.cache.slot, identity, context.now(), k=SHOWN + 1)
    if heading:
        st.markdown(heading)
    near = [neighbour for neighbour in found if neighbour.key != identity.key][:SHOWN]
    if not near:
        st.caption("No other question is stored in this scope.")
        return True
    known = {pair.id: pair for pair in semantic.pairs(identity.namespace).value or ()}
    st.dataframe(
        tables.neighbours((one, _verdict(identity, one, threshold, known)) for one in near),
        column_config=tables.NEIGHBOUR_COLUMNS,
        hide_index=True,
        key=f"neighbours-{key}",
        placeholder=UNKNOWN,
        alt="Nearest stored questions in the same scope",
    )
    st.caption(_rule(threshold))
    return True


def _verdict(identity: Identity, one: Neighbour, threshold: Threshold, known: dict[str, Pair]) -> str:
    """What the lookup does with a neighbour, in words."""
    is_judged = threshold.mode is SemanticMode.JUDGE
    if one.guard and not (one.judgeable and is_judged):
        return f"refused by guard {one.guard}: {one.reason}"
    if not one.guard and threshold.serve is not None and one.similarity >= threshold.serve:
        return "near enough to be served"
    if not is_judged or one.similarity < threshold.grey:
        return "not near enough"
    pair = known.get(pair_id(identity.namespace, identity.prompt, one.prompt))
    if pair is not None and pair.judge_word == "not-shown":
        return "not shown to the judge: too long, no text alone, or dictating a verdict"
    if pair is None or pair.judge_label is None:
        return f"only a judge may serve it: {one.reason}" if one.guard else "near enough to be judged"
    return f"the judge said {'yes' if pair.judge_label else 'no'}: {pair.judge_reason}"


def _rule(threshold: Threshold) -> str:
    serve = "none is served unjudged" if threshold.serve is None else f"served from {threshold.serve:.3f} on"
    judged = f", judged from {threshold.grey:.3f} on" if threshold.mode is SemanticMode.JUDGE else ""
    return f"Mode {threshold.mode.value}: {serve}{judged}. Only questions of the same scope are compared."
