"""A stored answer beside a fresh one: both texts, what each took and cost, and where they differ."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

import msgspec
import pandas as pd
import streamlit as st

from core.access import Action
from core.metrics import reasons
from core.models import Answer, Completion
from pages.components.data import actions, context
from pages.components.data.context import edits
from pages.components.display import outcomes
from pages.components.display.answers import show_answer
from pages.components.display.figures import UNKNOWN, duration, milliseconds, money, sentence, share
from pages.components.display.text import literal, one_line
from pages.components.playground.conversation import Received, Turn

MOST_WORDS = 1000
"""Of a longer answer this many words are compared."""
MOST_PLACES = 50

COLUMNS = {
    "stored": st.column_config.TextColumn("Only in the stored answer", width="medium"),
    "fresh": st.column_config.TextColumn("Only in the fresh answer", width="medium"),
}


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """How two texts compare: `likeness` is the share of words in common (0 to 1), `places` where they differ."""

    equal: bool
    likeness: float
    places: tuple[tuple[str, str], ...]


def compare(stored: str, fresh: str) -> Compared:
    """Two answers word by word."""
    if stored == fresh:
        return Compared(equal=True, likeness=1.0, places=())
    # White space belongs to the word before it: that two texts differ in nothing else is a difference too.
    first, second = (re.findall(r"\S+\s*|\s+", text)[:MOST_WORDS] for text in (stored, fresh))
    # Words that stand everywhere begin no common passage (`autojunk`): to try all their places takes the cube.
    matcher = SequenceMatcher(None, first, second)
    places = [
        ("".join(first[a:b]), "".join(second[c:d])) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"
    ]
    return Compared(equal=False, likeness=matcher.ratio(), places=tuple(places[:MOST_PLACES]))


def side_by_side(turn: Turn, fresh: Received) -> None:
    """Draws both answers, and what differs."""
    st.markdown("**Stored and fresh, side by side**")
    if fresh.answer is None:
        st.error(f"**No fresh answer.** {literal(fresh.problem, 400)}", icon=outcomes.ERROR.icon)
        return
    with st.grid(2, min_column_width=240):
        _column("Stored", ":material/cached:", turn.text, turn.answer)
        _column("Fresh, without the cache", outcomes.BYPASS.icon, fresh.text, fresh.answer)
    found = compare(turn.text, fresh.text)
    if found.equal:
        st.success("Identical: the stored answer is what the model says now.", icon=":material/check_circle:")
    else:
        st.warning(
            f"They differ: they share {share(found.likeness, 0)} of their words. Different words can still mean the "
            "same: read both.",
            icon=":material/difference:",
        )
        rows = [{"stored": _seen(stored), "fresh": _seen(other)} for stored, other in found.places]
        st.dataframe(
            pd.DataFrame(rows, columns=list(COLUMNS)),
            column_config=COLUMNS,
            hide_index=True,
            key=f"places-{turn.id}",
            placeholder=UNKNOWN,
            alt="Where the two answers differ",
        )
    _keep_button(turn, fresh.answer, is_other=not found.equal)


def _column(title: str, icon: str, text: str, answer: Answer | None) -> None:
    with st.container(border=True, gap="small"):
        st.markdown(f"{icon} **{title}**")
        show_answer(text or "(empty)")
        if answer is None:
            return
        outcome = answer.outcome
        facts = [f"took {milliseconds(outcome.latency_ms)}", f"cost {money(outcome.cost_usd or 0.0)}"]
        if outcome.saved_cost_usd is not None:
            facts[1] = f"cost $0, saved {money(outcome.saved_cost_usd)}"
        elif outcome.cost_usd is None and not answer.age_seconds:
            facts[1] = "cost unknown: no price for this model"
        if answer.age_seconds:
            facts.append(f"generated {duration(answer.age_seconds)} ago")
        st.caption(sentence(", ".join(facts)))


def _keep_button(turn: Turn, answer: Answer, *, is_other: bool) -> None:
    if not is_other or turn.imported:
        return
    st.button(
        "Store the fresh answer instead",
        key=f"keep-{turn.id}",
        icon=":material/save:",
        on_click=_keep,
        args=(turn, answer.completion),
        disabled=not context.actor().may(Action.EDIT_ENTRIES),
        help="The next identical request gets the fresh answer. The rules for storing apply.",
    )
    actions.show_last(f"keep-{turn.id}")


def _keep(turn: Turn, completion: Completion) -> None:
    stored = actions.perform(
        f"keep-{turn.id}",
        lambda: edits().keep(turn.ask.request(), completion, turn.ask.controls()),
        _kept,
    )
    if isinstance(stored, Answer):
        turn.hidden_by = ""


def _kept(stored: Answer | str) -> str:
    if isinstance(stored, Answer):
        return "Stored: the next identical request gets the fresh answer."
    return f"Not stored. {reasons.why_not_stored(stored)}"


def _seen(text: str) -> str:
    return one_line(text, 300).strip() or ("(white space)" if text else "–")
