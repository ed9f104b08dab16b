"""The semantic mode of a namespace, and what keeps it from working."""

from __future__ import annotations

import streamlit as st

from core.errors import CacheError
from core.models import CacheStrategy, SemanticMode
from core.semantic.quality import BUDGETS, Published, Threshold, ThresholdAction, labels_needed
from pages.components.data import context, semantic
from pages.components.display.figures import clock, many
from pages.components.display.outcomes import Colour
from pages.components.display.text import literal, plain
from pages.components.shell.address import visit

LOOKS: dict[SemanticMode, tuple[str, Colour, str]] = {
    SemanticMode.OFF: (":material/block:", "gray", "off: near questions are misses"),
    SemanticMode.JUDGE: (":material/gavel:", "violet", "judge: a model is asked before a near answer is served"),
    SemanticMode.SERVE: (":material/verified:", "green", "serve: near answers are served from a threshold on"),
}


ACTS = {
    ThresholdAction.PUBLISHED: "published",
    ThresholdAction.ROLLED_BACK: "rolled back to",
    ThresholdAction.TIGHTENED: "tightened automatically",
    ThresholdAction.GREY_SET: "judged from another cosine automatically",
}


def mode(namespace: str, threshold: Threshold, versions: list[Published]) -> None:
    """Draws the mode in force, where it comes from, and what keeps it from working."""
    icon, colour, words = LOOKS[threshold.mode]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(words, icon=icon, color=colour)
        if threshold.mode is not SemanticMode.OFF:
            unproved = ", unproved" if threshold.unproved else ""
            if threshold.serve is None:
                serve = "nothing served unjudged"
            elif _is_judge_first(namespace):
                serve = f"from {threshold.serve:.3f} on the judge is asked first"
            else:
                serve = f"served from {threshold.serve:.3f} on{unproved}"
            st.badge(serve, icon=":material/bolt:", color="blue")
        if threshold.mode is SemanticMode.JUDGE:
            fixed = ", set by hand" if threshold.grey_fixed else ""
            st.badge(f"judged from {threshold.grey:.3f} on{fixed}", icon=":material/gavel:", color="gray")
        latest = versions[0] if versions else None
        if latest is None:
            st.caption("as configured", width="content")
        else:
            st.caption(
                f"version {latest.version}, {ACTS[latest.act]} {clock(latest.at)}, by {literal(latest.actor, 40)}",
                width="content",
            )
    if latest is not None and latest.act is ThresholdAction.GREY_SET:
        st.info(
            f"**Judged from {threshold.grey:.3f} on, set automatically.** {literal(latest.note, 300)}",
            icon=":material/gavel:",
        )
    if foreign := context.services().thresholds.foreign_among(versions):
        st.warning(plain(foreign), icon=":material/warning:")
    if threshold.mode is not SemanticMode.OFF:
        for problem in problems(threshold):
            st.warning(problem, icon=":material/warning:")


def _is_judge_first(namespace: str) -> bool:
    """Whether the bound keeps matches from being served without the judge."""
    try:
        return context.services().evidence.bounds.in_effect(namespace).waiting is not None
    except CacheError:
        return False


def problems(threshold: Threshold) -> list[str]:
    """Why a mode that is on has no effect, as far as this console knows."""
    services = context.services()
    found = []
    if services.settings.strategy is not CacheStrategy.SEMANTIC:
        found.append(
            f"The strategy is {services.settings.strategy.value}: near questions are not searched. Set "
            "`ENCORE_STRATEGY` to `semantic`."
        )
    elif services.semantic is not None and services.semantic.problem:
        found.append(f"There is no embedder: {plain(services.semantic.problem)}.")
    if threshold.mode is SemanticMode.JUDGE and services.judge is None:
        found.append("There is no judge: near matches are misses. Set `ENCORE_JUDGE_MODEL` to a small model.")
    return found


def conversations_off() -> None:
    """Draws what comparing conversations does, and how to switch it on."""
    with st.container(border=True):
        st.markdown("### :material/forum: Conversations are not compared")
        st.markdown(
            "A question in a conversation is answered by the same conversation only. Compared with others, it may also "
            "be answered by one that means the same after another history, if the judge agrees, who reads both. Model, "
            "system prompt, tools, parameters and user must be equal. Nothing is ever served unjudged."
        )
        st.code(
            "ENCORE_STRATEGY=semantic\nENCORE_SEMANTIC_CONVERSATIONS=judge\nENCORE_JUDGE_MODEL=gpt-4o-mini",
            language="shell",
        )


def would_bring(namespace: str) -> None:
    """Draws what semantic lookup would bring at most, by what people asked, or how to find out."""
    found = semantic.questions(namespace, None, None).value
    if found is None:
        return
    with st.container(border=True, gap="xsmall", key="would-bring"):
        st.markdown("**What it would bring**")
        if found.near_words:
            st.markdown(plain(found.near_words))
            if found.at is not None:
                st.caption(f"Of the latest {many(found.looked_at, 'request')}, grouped at {clock(found.at)}.")
        elif found.groups:
            st.markdown("Nothing yet: there was no miss.")
        else:
            st.markdown(plain(found.empty))
        if not found.empty or found.groupable:
            words = "Show the questions" if found.groups else "Group them on Questions"
            if st.button(words, key="to-questions", icon=":material/bubble_chart:"):
                visit("pages/questions.py", {"namespace": namespace})


def off(namespace: str) -> None:
    """Draws what semantic lookup would bring, what it can and cannot do, and how to switch it on."""
    with st.container(border=True):
        st.markdown("### :material/hub: Semantic lookup is off")
        st.markdown(
            "It would answer a question with the stored answer to another question that means the same. Encore serves "
            "none on a cosine alone before labels of your own traffic show how often that is wrong."
        )
        would_bring(namespace)
        with st.grid(2, min_column_width=280):
            with st.container(border=True, height="stretch"):
                st.markdown(":material/gavel: **judge**, the way to begin")
                st.caption(
                    "A small model of yours judges each near match first. If it approves, the stored answer is "
                    "served, and the same wording is an exact hit the next time. If it refuses, or does not answer "
                    "within a second, the request is a miss. Costs one call for each near match, within an hourly "
                    "budget."
                )
            with st.container(border=True, height="stretch"):
                st.markdown(":material/verified: **serve**, when labels support it")
                st.caption(
                    "A near match at or above the threshold is served without asking, once the bound holds. A share of "
                    "those hits is judged afterwards. When the bound breaks, or more are wrong of late, the judge is "
                    "asked first again."
                )
        needed = ", ".join(str(labels_needed(budget)) for budget in BUDGETS[:-1]) + f" or {labels_needed(BUDGETS[-1])}"
        st.markdown("**What to expect**")
        st.markdown(
            "- On open questions no embedder that was measured keeps false hits under 1 % by cosine alone; on "
            "questions like those of an FAQ one does.\n- No cosine separates opposites. Guards refuse other numbers, "
            "units and negations; a judge sees more, but makes mistakes too: check here what it approved.\n- To serve "
            f"without the judge within 1 %, 2 % or 5 % false hits takes {needed} labels without an error."
        )
        st.markdown("**To switch it on**, start with these settings:")
        st.code(
            "ENCORE_STRATEGY=semantic\nENCORE_SEMANTIC=judge\nENCORE_JUDGE_MODEL=gpt-4o-mini   # any small model",
            language="shell",
        )
        if context.services().semantic is not None:
            st.caption("The strategy is semantic already: you can switch this namespace on below, at once.")
