"""The card under an answer: its outcome in words and figures, and on demand every part of the decision."""

from __future__ import annotations

import streamlit as st

from core.entries import Explanation, Nearest, differences, explain, nearest_entries
from core.errors import CacheError
from core.metrics import reasons
from core.models import Answer, OutcomeKind
from pages.components.data import context, queries
from pages.components.display import charts, outcomes, tables
from pages.components.display.figures import UNKNOWN, clock, duration, many, milliseconds, money, sentence, share
from pages.components.display.text import error_sentence, literal, plain, visible
from pages.components.playground import tables as playground_tables
from pages.components.playground.conversation import Turn
from pages.components.shell.address import ID, carried
from pages.components.shell.neighbours import neighbours


def decision(turn: Turn, answer: Answer) -> None:
    """Draws the card under an answer."""
    outcome = answer.outcome
    look = outcomes.look(outcome.kind, outcome.detail)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(look.words, icon=look.icon, color=look.colour)
        if turn.imported:
            st.badge("imported", icon=":material/upload_file:", color="gray", help="As recorded in its file.")
        st.caption(sentence(_headline(answer)), width="content")
    st.caption(_reason(answer))
    is_hit = outcome.kind is OutcomeKind.HIT
    saved_tokens = outcome.saved_input_tokens + outcome.saved_output_tokens
    with st.grid(4, min_column_width=100):
        _figure("Waited", milliseconds(outcome.latency_ms), _beside_typical(outcome.latency_ms, outcome.kind))
        if is_hit:
            _figure("Saved", money(outcome.saved_cost_usd), f"{saved_tokens} tokens")
        else:
            _figure("Cost", money(outcome.cost_usd), f"{outcome.input_tokens + outcome.output_tokens} tokens")
        _figure("Age", duration(answer.age_seconds) if is_hit else "new", "since it was generated")
        _figure("Fresh for", duration(answer.ttl_seconds) if answer.ttl_seconds else "not stored", _ttl_class(answer))
    if answer.key:
        st.code(answer.key, language=None, wrap_lines=True)
    question = "Why was this not a hit?" if outcome.kind is OutcomeKind.MISS else "Why, in detail"
    details = st.expander(question, key=f"why-{turn.id}", on_change="rerun", type="compact")
    if details.open:
        with details:
            _details(turn, answer)


def _headline(answer: Answer) -> str:
    outcome = answer.outcome
    match outcome.kind:
        case OutcomeKind.HIT:
            price = f", {money(outcome.saved_cost_usd)} saved" if outcome.saved_cost_usd else ""
            return f"Answered in {milliseconds(outcome.latency_ms)}{price}"
        case OutcomeKind.MISS:
            kept = "stored for the next time" if outcome.stored else "not stored"
            return f"The model answered in {milliseconds(outcome.provider_ms or outcome.latency_ms)}, {kept}"
        case _:
            return f"The model answered in {milliseconds(outcome.provider_ms)}, the cache was bypassed"


def _reason(answer: Answer) -> str:
    outcome = answer.outcome
    words = outcomes.why(outcome.kind, outcome.detail, outcome.reason)
    if outcome.not_stored:
        words += f" The answer was not stored. {reasons.why_not_stored(outcome.not_stored)}"
    return words


def _beside_typical(latency_ms: float, kind: OutcomeKind) -> str:
    """A hit's latency beside what a miss typically takes."""
    day = queries.last_day().value
    typical = day.miss_latency.p50_ms if day else None
    if not typical:
        return "no miss to compare with"
    if kind is not OutcomeKind.HIT:
        return f"a miss takes {milliseconds(typical)}"
    faster = typical / max(latency_ms, 0.01)
    return f"{faster:,.0f} times faster than a miss" if faster >= 2 else f"a miss takes {milliseconds(typical)}"


def _ttl_class(answer: Answer) -> str:
    return plain(answer.outcome.ttl_class.replace("_", " ")) or "no TTL class"


def _figure(label: str, value: str, below: str) -> None:
    with st.container(gap=None):
        st.caption(label)
        st.markdown(f"**{sentence(value)}**")
        st.caption(sentence(below))


def _details(turn: Turn, answer: Answer) -> None:
    """Draws how a miss differs from the nearest entry, the parts of the request, its TTL, and its timing."""
    cache = context.services().cache
    explanation = explain(cache, turn.ask.request(), turn.ask.controls())
    if answer.outcome.kind is OutcomeKind.MISS:
        _why_no_hit(turn, explanation)
    neighbours(turn.ask.request(), turn.ask.controls(), key=turn.id)
    if answer.similarity is not None:
        st.caption(f"Cosine of the nearest question at the time: {answer.similarity:.3f}.")
    st.markdown("**What identifies this request**")
    st.dataframe(
        tables.parts(explanation.parts, queries.naming()),
        column_config=tables.PART_COLUMNS,
        hide_index=True,
        key=f"parts-{turn.id}",
        placeholder=UNKNOWN,
        alt="Parts of the request with the digest of each",
    )
    if explanation.normal:
        st.caption("A normalized lookup compares this text, inside the same scope:")
        st.code(visible(explanation.normal), language=None, wrap_lines=True)
    else:
        st.caption("A normalized lookup does not apply to this prompt.")
    if explanation.ttl is not None:
        saw = f", because of {literal(explanation.ttl.matched, 60)}" if explanation.ttl.matched else ""
        lasts = f"fresh for {duration(explanation.ttl.seconds)}" if explanation.ttl.seconds else "not stored"
        st.caption(
            f"TTL class {literal(explanation.ttl.ttl_class)} by the rule {literal(explanation.ttl.rule)}{saw}: {lasts}."
        )
    if explanation.own:
        st.caption(f"The answer is this user's alone: {reasons.why_own(explanation.own)}.")
    st.markdown("**Where the time went**")
    st.plotly_chart(
        charts.steps(_steps(answer)),
        key=f"steps-{turn.id}",
        config=charts.CONFIG,
        alt="Where the time of the request went: " + ", ".join(_in_words(answer)),
    )
    st.caption(sentence(_costs(answer)))


def _steps(answer: Answer) -> dict[str, float]:
    """The steps of a request in milliseconds, in their order."""
    outcome = answer.outcome
    rest = outcome.latency_ms - outcome.lookup_ms - outcome.provider_ms
    last = "store" if outcome.stored else "rest"
    return {"lookup": outcome.lookup_ms, "model": outcome.provider_ms, last: max(0.0, rest)}


def _in_words(answer: Answer) -> list[str]:
    return [f"{name} {milliseconds(took)}" for name, took in _steps(answer).items()]


def _costs(answer: Answer) -> str:
    """What the request cost, and what it would have cost without the cache."""
    outcome = answer.outcome
    if outcome.kind is OutcomeKind.HIT:
        tokens = f"{outcome.saved_input_tokens:,} tokens in, {outcome.saved_output_tokens:,} out"
        return f"Cost: nothing. The stored answer had cost {money(outcome.saved_cost_usd)} ({tokens})."
    tokens = f"{outcome.input_tokens:,} tokens in, {outcome.output_tokens:,} out"
    price = "unknown, there is no price for this model" if outcome.cost_usd is None else money(outcome.cost_usd)
    return f"Cost: {price} ({tokens})."


def _why_no_hit(turn: Turn, explanation: Explanation) -> None:
    """Compares a miss with the stored entry that is most like it, part by part."""
    built = context.services()
    st.markdown("**Compared with the nearest entry**")
    if (asked_at := _asked_before(turn, explanation)) is not None:
        st.caption(f"The request of {clock(asked_at)} was identical; its answer is no longer stored.")
        return
    others = [name for name in queries.namespaces() if name != turn.ask.namespace]
    try:
        looked = nearest_entries(
            built.store,
            [turn.ask.namespace, *others],
            explanation,
            buckets=built.settings.buckets,
            strip_stop_words=built.settings.strip_stop_words,
        )
    except CacheError as error:
        st.caption(f"The nearest entry could not be read. {error_sentence(error)}")
        return
    if not looked.nearest:
        st.caption(
            f"No stored question is similar. Compared with the newest {many(looked.looked_at, 'entry', 'entries')}."
            if looked.looked_at
            else "Nothing else is stored."
        )
        return
    _apart(turn, looked.nearest[0], looked.looked_at)


def _apart(turn: Turn, nearest: Nearest, looked_at: int) -> None:
    """Draws what differs from the nearest entry."""
    entry = nearest.found.entry
    st.text(visible(entry.prompt[:500]), width="stretch")
    age = clock(entry.header.created_at)
    if not nearest.differences:
        st.caption(f"It is the same request, stored {age}: it would be a hit now.")
        return
    parts = ", ".join(literal(difference.name) for difference in nearest.differences)
    st.caption(
        f"It was stored {age}, shares {share(nearest.likeness, 0)} of its words, and differs in: {parts}. Compared "
        f"with the newest {many(looked_at, 'entry', 'entries')}."
    )
    st.dataframe(
        playground_tables.differences(nearest.differences, queries.naming()),
        column_config=playground_tables.DIFFERENCE_COLUMNS,
        hide_index=True,
        key=f"differences-{turn.id}",
        placeholder=UNKNOWN,
        alt="What differs from the nearest entry",
    )
    st.page_link(
        "pages/entries.py",
        label="Open the entry",
        icon=":material/database:",
        query_params=carried({ID: nearest.found.key, "namespace": entry.header.namespace}),
    )


def _asked_before(turn: Turn, explanation: Explanation) -> float | None:
    """When an identical request was last answered in this session; None if never."""
    cache = context.services().cache
    turns: list[Turn] = st.session_state["turns"]
    for other in reversed(turns[: turns.index(turn)]):
        is_answered = other.answer is not None and other.answer.key and not other.imported
        if is_answered and not differences(explanation, explain(cache, other.ask.request(), other.ask.controls())):
            return other.asked_at
    return None
