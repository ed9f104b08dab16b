"""Playground: send a prompt through the cache, see the answer and why it came from where it came from."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any
from uuid import uuid4

import msgspec
import openai
import streamlit as st

from core.access import Action
from core.bans import Criteria
from core.errors import CacheError, InvalidInput
from core.explanation import Explanation, differences, explain
from core.models import TTL, Answer, CacheStrategy, ChatRequest, Controls, OutcomeKind, ttl
from pages.components import actions, charts, context, outcomes, tables
from pages.components.frame import frame
from pages.components.neighbours import neighbours
from pages.components.rights import read_only
from pages.components.text import literal, one_line, visible
from pages.components.wording import clock, duration, milliseconds, money, sentence

REDRAW_SECONDS = 0.05
"""How often a growing answer is drawn: each drawing sends all of it again."""

TTLS: dict[str, float | None] = {
    "By kind of question": None,
    "1 minute": 60,
    "1 hour": 3600,
    "1 day": 86_400,
    "Do not store": 0,
}

DEMO_MODEL = (
    "The demo model answers from a small built-in stock, with the latency and token counts of a real one. Set "
    "`OPENAI_API_KEY` or `OPENAI_BASE_URL` to use a real one."
)

EXAMPLE = "How do I activate my new card?"
SUGGESTIONS: dict[str, tuple[str, bool]] = {
    "Ask a question": (EXAMPLE, False),
    "Ask it again": (EXAMPLE, False),
    "Change case and spaces": ("how do I   Activate my new Card", False),
    "Ask past the cache": (EXAMPLE, True),
}
"""What each suggestion sends, and whether past the cache: one for each outcome, in order."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request as the page's controls describe it."""

    prompt: str
    model: str
    temperature: float
    strategy: CacheStrategy
    ttl_seconds: float | None
    past_cache: bool
    namespace: str
    system: str = ""

    def request(self) -> ChatRequest:
        """The request; raises InvalidInput."""
        messages = [{"role": "system", "content": self.system}] if self.system.strip() else []
        return ChatRequest.from_openai(
            model=self.model,
            messages=[*messages, {"role": "user", "content": self.prompt}],
            temperature=self.temperature,
            stream=True,
        )

    def controls(self) -> Controls:
        """What it asks of the cache."""
        time_to_live: TTL = ttl(self.ttl_seconds)
        return Controls(namespace=self.namespace, strategy=self.strategy, ttl=time_to_live, no_store=self.past_cache)


class Turn(msgspec.Struct, kw_only=True):
    """One prompt and what came of it. `problem` is set when no answer came."""

    id: str
    ask: Ask
    asked_at: float
    text: str = ""
    answer: Answer | None = None
    answered_at: float = 0.0
    problem: str = ""
    forgotten: bool = False


def page() -> None:
    if not frame("Playground", "Send a prompt, see the answer, and why it was a hit or a miss."):
        return
    turns: list[Turn] = st.session_state.setdefault("turns", [])
    draft = controls()
    fill_from_link()
    if not turns:
        welcome()
    for turn in turns:
        show(turn)
    room = st.container()
    suggestions(draft, len(turns))
    may = context.actor().may(Action.ASK)
    typed = st.chat_input("Type a prompt", key="prompt", submit_mode="stop", max_chars=20_000, disabled=not may)
    read_only(Action.ASK)
    waiting: Ask | None = st.session_state.pop("waiting", None)
    if typed:
        waiting = msgspec.structs.replace(draft, prompt=typed)
    if waiting is not None:
        with room:
            send(waiting, turns)
        st.rerun()


def controls() -> Ask:
    """What the next prompt is sent with."""
    settings = context.services().settings
    with st.grid(4, min_column_width=150, gap="small"):
        model = st.selectbox(
            "Model",
            context.offered_models(),
            key="playground-model",
            accept_new_options=True,
            placeholder="Name a model",
            persist_state="session",
        )
        strategy = st.selectbox(
            "Strategy",
            list(CacheStrategy),
            index=list(CacheStrategy).index(settings.strategy),
            format_func=lambda choice: choice.value,
            key="playground-strategy",
            persist_state="session",
            help="The dearest lookup this request may use. Cheaper ones are always tried first; a request can lower "
            "the configured ceiling, never raise it.",
        )
        time_to_live = st.selectbox(
            "TTL",
            list(TTLS),
            key="playground-ttl",
            persist_state="session",
            help="How long the answer may be served.",
        )
        temperature = st.number_input(
            "Temperature",
            0.0,
            2.0,
            0.2,
            0.1,
            "%.1f",
            key="playground-temperature",
            persist_state="session",
            help=f"Above {settings.max_temperature:g} a request is not cached: it asks for variety.",
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        past_cache = st.toggle(
            "Past the cache",
            key="playground-bypass",
            persist_state="session",
            help="Neither answer from the cache nor store: Cache-Control: no-store.",
        )
        with st.popover("Namespace and system prompt", icon=":material/tune:", type="tertiary"):
            namespace = st.selectbox(
                "Namespace", context.namespaces(), key="playground-namespace", persist_state="session"
            )
            system = st.text_area(
                "System prompt",
                key="playground-system",
                placeholder="None",
                persist_state="session",
                help="Part of the scope: another system prompt is another answer.",
            )
        if settings.uses_demo_model:
            st.badge("Demo model", icon=":material/science:", color="violet", help=DEMO_MODEL)
    return Ask(
        prompt="",
        model=model or "",
        temperature=temperature,
        strategy=strategy,
        ttl_seconds=TTLS[time_to_live],
        past_cache=past_cache,
        namespace=namespace,
        system=system,
    )


def fill_from_link() -> None:
    """`?prompt=` fills the input, once, and sends nothing."""
    linked = st.query_params.get("prompt")
    if linked and st.session_state.get("filled") != linked:
        st.session_state["filled"] = linked
        st.session_state["prompt"] = linked[:20_000]


def welcome() -> None:
    """Before the first prompt."""
    settings = context.services().settings
    with st.container(border=True):
        st.markdown("**See the cache decide**")
        st.caption(
            "Ask once: a miss, the model answers and the answer is stored. Ask again: a hit, in about a millisecond. "
            "Change only case and spaces: a normalized hit. The buttons below send these for you."
        )
        if settings.uses_demo_model:
            st.caption(DEMO_MODEL)


def suggestions(draft: Ask, count: int) -> None:
    """One button for each outcome; the next in order stands out."""
    names = list(SUGGESTIONS)
    with st.container(horizontal=True, gap="small"):
        for position, name in enumerate(names):
            prompt, past_cache = SUGGESTIONS[name]
            ask = msgspec.structs.replace(draft, prompt=prompt, past_cache=past_cache or draft.past_cache)
            st.button(
                f"{position + 1}. {name}",
                key=f"suggestion-{position}",
                help=one_line(prompt),
                type="primary" if position == count else "secondary",
                on_click=_queue,
                args=(ask,),
                disabled=not draft.model,
            )
        if count:
            st.download_button(
                "Transcript",
                transcript,
                "transcript.json",
                "application/json",
                icon=":material/download:",
                type="tertiary",
                on_click="ignore",
            )
            st.button("Clear", icon=":material/delete_sweep:", type="tertiary", on_click=_clear, key="clear")


def _queue(ask: Ask) -> None:
    st.session_state["waiting"] = ask


def _clear() -> None:
    st.session_state["turns"] = []


def send(ask: Ask, turns: list[Turn]) -> None:
    """Sends a prompt and shows the answer as it comes."""
    turn = Turn(id=uuid4().hex[:12], ask=ask, asked_at=time.time())
    turns.append(turn)
    _prompt(turn)
    with st.chat_message("assistant", avatar=":material/cached:"):
        place = st.empty()
        place.caption("Looking in the cache, then asking the model…")
        turn.problem = "Stopped before the answer was complete. Nothing was stored."
        try:
            context.actor().require(Action.ASK)
            with context.services().cache.stream(ask.request(), ask.controls()) as stream:
                drawn_at = 0.0
                for chunk in stream:
                    turn.text += _piece(chunk)
                    if time.monotonic() - drawn_at > REDRAW_SECONDS:
                        place.text(visible(turn.text) + " ▌", width="stretch")
                        drawn_at = time.monotonic()
                turn.answer = stream.answer
            turn.problem = "" if turn.answer else "The answer did not come to its proper end. Nothing was stored."
        except InvalidInput as error:
            turn.problem = f"{error}."
        except (openai.OpenAIError, CacheError) as error:
            turn.problem = f"{type(error).__name__}: {_without_secrets(str(error))}"
        finally:
            turn.answered_at = time.time()
    context.readings().renew()


def _piece(chunk: Mapping[str, Any]) -> str:
    choices: Sequence[Mapping[str, Any]] = chunk.get("choices") or ({},)
    return (choices[0].get("delta") or {}).get("content") or ""


def _without_secrets(text: str) -> str:
    key = context.services().settings.openai_api_key
    secret = key.get_secret_value() if key else ""
    return one_line(text.replace(secret, "***") if secret else text, 500)


def _prompt(turn: Turn) -> None:
    with st.chat_message("user", avatar=":material/person:"):
        st.text(visible(turn.ask.prompt), width="stretch")


def show(turn: Turn) -> None:
    """One prompt, its answer, and how it came about."""
    _prompt(turn)
    icon = ":material/cached:"
    if turn.answer is not None:
        icon = outcomes.look(turn.answer.outcome.kind, turn.answer.outcome.detail).icon
    with st.chat_message("assistant", avatar=icon):
        if turn.text:
            st.text(visible(turn.text), width="stretch")
        if turn.problem:
            st.error(f"**No answer.** {literal(turn.problem, 400)}", icon=outcomes.ERROR.icon)
            st.button(
                "Send it again",
                key=f"again-{turn.id}",
                icon=":material/refresh:",
                on_click=_queue,
                args=(turn.ask,),
            )
        if turn.answer is not None:
            with st.container(border=True, gap="small"):
                _decision(turn, turn.answer)


def _decision(turn: Turn, answer: Answer) -> None:
    outcome = answer.outcome
    look = outcomes.look(outcome.kind, outcome.detail)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(look.words, icon=look.icon, color=look.colour)
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
    details = st.expander("Why, in detail", key=f"why-{turn.id}", on_change="rerun", type="compact")
    if details.open:
        with details:
            _details(turn, answer)
    _next_steps(turn, answer)


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
            return f"The model answered in {milliseconds(outcome.provider_ms)}, the cache was not touched"


def _reason(answer: Answer) -> str:
    outcome = answer.outcome
    told = outcomes.why(outcome.kind, outcome.detail, outcome.reason)
    if outcome.not_stored:
        told += f" The answer was not stored. {outcomes.why_not_stored(outcome.not_stored)}"
    return told


def _beside_typical(latency_ms: float, kind: OutcomeKind) -> str:
    """A hit's latency beside what a miss typically takes."""
    metrics = context.services().metrics
    day = context.readings().get("day", lambda: metrics.summary(86_400), max_age=10).value
    typical = day.miss_latency.p50_ms if day else None
    if not typical:
        return "no miss to compare with"
    if kind is not OutcomeKind.HIT:
        return f"a miss takes {milliseconds(typical)}"
    faster = typical / max(latency_ms, 0.01)
    return f"{faster:,.0f} times faster than a miss" if faster >= 2 else f"a miss takes {milliseconds(typical)}"


def _ttl_class(answer: Answer) -> str:
    return answer.outcome.ttl_class.replace("_", " ") or "no TTL class"


def _figure(label: str, value: str, below: str) -> None:
    with st.container(gap=None):
        st.caption(label)
        st.markdown(f"**{sentence(value)}**")
        st.caption(sentence(below))


def _details(turn: Turn, answer: Answer) -> None:
    """What the request is made of, its TTL, where the time went; for a miss, what differs from the nearest prompt."""
    cache = context.services().cache
    told = explain(cache, turn.ask.request(), turn.ask.controls())
    if answer.outcome.kind is OutcomeKind.MISS:
        _nearest(turn, told)
    neighbours(turn.ask.request(), turn.ask.controls(), key=turn.id)
    st.markdown("**What makes this request the one it is**")
    st.dataframe(
        tables.parts(told.parts),
        column_config=tables.PART_COLUMNS,
        hide_index=True,
        key=f"parts-{turn.id}",
        alt="Parts of the request with the digest of each",
    )
    if told.normal:
        st.caption("A normalized lookup compares this text, inside the same scope:")
        st.code(visible(told.normal), language=None, wrap_lines=True)
    else:
        st.caption("A normalized lookup does not apply to this prompt.")
    if told.ttl is not None:
        saw = f", because of {literal(told.ttl.matched, 60)}" if told.ttl.matched else ""
        lasts = f"fresh for {duration(told.ttl.seconds)}" if told.ttl.seconds else "not stored"
        st.caption(f"TTL class {literal(told.ttl.ttl_class)} by the rule {literal(told.ttl.rule)}{saw}: {lasts}.")
    st.plotly_chart(
        charts.steps(_steps(answer)),
        key=f"steps-{turn.id}",
        config=charts.CONFIG,
        alt="Where the time of the request went",
    )


def _steps(answer: Answer) -> dict[str, float]:
    """The steps of a request in milliseconds."""
    outcome = answer.outcome
    rest = outcome.latency_ms - outcome.lookup_ms - outcome.provider_ms
    return {"lookup": outcome.lookup_ms, "model": outcome.provider_ms, "rest": max(0.0, rest)}


def _nearest(turn: Turn, told: Explanation) -> None:
    """Compares a miss with the prompt of this session that is most like it."""
    cache = context.services().cache
    turns: list[Turn] = st.session_state["turns"]
    earlier = [other for other in turns[: turns.index(turn)] if other.answer is not None and other.answer.key]
    if not earlier:
        return
    nearest = max(earlier, key=lambda other: SequenceMatcher(None, other.ask.prompt, turn.ask.prompt).ratio())
    found = differences(told, explain(cache, nearest.ask.request(), nearest.ask.controls()))
    st.markdown("**Why it was not a hit**")
    if not found:
        st.caption(
            f"It is the same request as the one of {clock(nearest.asked_at)}, whose answer is not there any more."
        )
        return
    parts = ", ".join(literal(difference.name) for difference in found)
    st.caption(f"It differs from the nearest prompt of this session ({clock(nearest.asked_at)}) in: {parts}.")
    st.dataframe(
        tables.differences(found),
        column_config=tables.DIFFERENCE_COLUMNS,
        hide_index=True,
        key=f"differences-{turn.id}",
        alt="What differs from the nearest prompt",
    )


def _next_steps(turn: Turn, answer: Answer) -> None:
    with st.container(horizontal=True, gap="small"):
        st.button("Ask again", key=f"repeat-{turn.id}", icon=":material/refresh:", on_click=_queue, args=(turn.ask,))
        st.button(
            "Ask again without the cache",
            key=f"fresh-{turn.id}",
            icon=outcomes.BYPASS.icon,
            on_click=_queue,
            args=(msgspec.structs.replace(turn.ask, past_cache=True),),
        )
        is_stored = answer.outcome.kind is OutcomeKind.HIT or answer.outcome.stored
        if is_stored and not turn.forgotten:
            st.button(
                "Forget this entry",
                key=f"forget-{turn.id}",
                icon=":material/delete:",
                on_click=_forget,
                args=(turn, answer.key),
                help="Deletes the stored answer at once. This cannot be undone: ask again to store a new one.",
            )
    actions.show_last(f"forget-{turn.id}")


def _forget(turn: Turn, key: str) -> None:
    done = actions.invalidate(
        Criteria(namespace=turn.ask.namespace, key=key),
        soft=False,
        hold_seconds=0,
        request_id=f"forget-{turn.id}",
        preview=None,
        name=f"forget-{turn.id}",
    )
    turn.forgotten = done is not None


def transcript() -> bytes:
    """All turns of this session as JSON."""
    turns: list[Turn] = st.session_state.get("turns", [])
    rows = [
        {
            "prompt": turn.ask.prompt,
            "model": turn.ask.model,
            "temperature": turn.ask.temperature,
            "strategy": turn.ask.strategy.value,
            "asked_at": turn.asked_at,
            "answer": turn.text,
            "problem": turn.problem,
            "key": turn.answer.key if turn.answer else "",
            "outcome": str(turn.answer.outcome) if turn.answer else "",
            "latency_ms": turn.answer.outcome.latency_ms if turn.answer else None,
        }
        for turn in turns
    ]
    return json.dumps(rows, indent=2).encode()


page()
