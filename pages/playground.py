"""Playground: send a prompt through the cache, see the answer and why it came from where it came from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Literal
from uuid import uuid4

import msgspec
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.access import Action
from core.errors import InvalidInput
from core.models import Answer, CacheStrategy
from pages.components.data import context, queries
from pages.components.display import outcomes
from pages.components.display.answers import show_answer
from pages.components.display.text import literal, one_line, visible
from pages.components.playground.comparison import side_by_side
from pages.components.playground.conversation import MOST_TURNS, STOPPED, Ask, Received, Turn, receive
from pages.components.playground.decision import decision
from pages.components.playground.transcript import MOST_BYTES, dump, load
from pages.components.playground.verdict import show_verdict, verdict_buttons
from pages.components.shell.frame import frame
from pages.components.shell.permissions import read_only

MOST_EARLIER = 20
"""Turns that are sent along with a conversation."""
NOTICE_SECONDS = 1
"""How soon the page says that an answer was stopped."""

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
OTHER_WORDS = "How can I get my new card activated?"
SUGGESTIONS: dict[str, tuple[str, bool]] = {
    "Ask a question": (EXAMPLE, False),
    "Ask it again": (EXAMPLE, False),
    "Change case and spaces": ("how do I   Activate my new Card", False),
    "Ask past the cache": (EXAMPLE, True),
}
"""What each suggestion sends, and whether past the cache: one for each outcome, in order."""


def page() -> None:
    if not frame("Playground", "Send a prompt, see the answer, and why it was a hit or a miss."):
        return
    turns: list[Turn] = st.session_state.setdefault("turns", [])
    fill_model_from_link()
    draft = controls()
    fill_from_link()
    if not turns:
        welcome()
    for turn in turns:
        show(turn)
    room = st.container()
    watch = st.empty()
    suggestions(draft, turns)
    may = context.actor().may(Action.ASK)
    # Streamlit scrolls to the latest message by itself; before there is one that would hide the top of the page.
    bottom = st if turns or st.session_state.get("has-asked") else st.bottom
    typed = bottom.chat_input(
        "Type a prompt", key="prompt", submit_mode="stop", max_chars=20_000, disabled=not may, on_submit=_begin
    )
    read_only(Action.ASK)
    waiting: Ask | None = st.session_state.pop("waiting", None)
    compared: str = st.session_state.pop("compared", "")
    if typed:
        history = said(turns) if st.session_state["playground-history"] else ()
        waiting = msgspec.structs.replace(draft, prompt=typed, history=history)
    if waiting is not None:
        with receiving(watch), room:
            send(waiting, turns)
        st.rerun()
    if compared and (chosen := next((turn for turn in turns if turn.id == compared), None)):
        with receiving(watch), room:
            compare_now(chosen)
        st.rerun()


@contextmanager
def receiving(watch: DeltaGenerator) -> Iterator[None]:
    """While an answer is waited for: should the script be stopped, the page is drawn anew and says so."""
    ended = Event()  # not in the session's state, which takes nothing any more from a script that is stopped

    def notice() -> None:
        if ended.is_set():
            st.rerun()

    try:
        with watch:
            st.fragment(notice, run_every=NOTICE_SECONDS)()
        yield
    finally:
        ended.set()


def said(turns: list[Turn]) -> tuple[tuple[Literal["user", "assistant"], str], ...]:
    """The conversation so far, as far as it was answered; the latest of it."""
    history: list[tuple[Literal["user", "assistant"], str]] = []
    for turn in turns[-MOST_EARLIER:]:
        if turn.answer is not None and turn.text:
            history += [("user", turn.ask.prompt), ("assistant", turn.text)]
    return tuple(history)


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
        st.toggle(
            "With history",
            key="playground-history",
            persist_state="session",
            help="Sends the conversation along with what you type. It is part of the scope: after another "
            "conversation the same words are another request.",
        )
        with st.popover("Namespace, system prompt, parameters", icon=":material/tune:", type="tertiary"):
            namespace = st.selectbox(
                "Namespace", queries.namespaces(), key="playground-namespace", persist_state="session"
            )
            system = st.text_area(
                "System prompt",
                key="playground-system",
                placeholder="None",
                persist_state="session",
                help="Part of the scope: another system prompt is another answer.",
                max_chars=20_000,
            )
            parameters = st.text_area(
                "Further parameters, as JSON",
                key="playground-parameters",
                placeholder='{"seed": 7, "tools": [...]}',
                persist_state="session",
                max_chars=20_000,
                help="Each parameter that changes the answer is part of the scope.",
            )
        if settings.uses_demo_model:
            st.badge("Demo model", icon=":material/science:", color="violet", help=DEMO_MODEL)
    return Ask(
        prompt="",
        model=model or "",
        temperature=temperature,
        strategy=strategy or settings.strategy,
        ttl_seconds=TTLS[time_to_live],
        past_cache=past_cache,
        namespace=namespace,
        system=system or "",
        parameters=parameters or "",
    )


def fill_from_link() -> None:
    """`?prompt=` fills the input, once, and sends nothing."""
    linked = st.query_params.get("prompt")
    if linked and st.session_state.get("filled") != linked:
        st.session_state["filled"] = linked
        st.session_state["prompt"] = linked[:20_000]


def fill_model_from_link() -> None:
    """`?model=` and `?namespace=` choose, once."""
    for name in ("model", "namespace"):
        linked = st.query_params.get(name)
        if linked and st.session_state.get(f"filled-{name}") != linked:
            st.session_state[f"filled-{name}"] = linked
            if name == "namespace" and linked not in queries.namespaces():
                continue
            st.session_state[f"playground-{name}"] = linked[:200]


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


def suggestions(draft: Ask, turns: list[Turn]) -> None:
    """One button for each outcome; the next in order stands out."""
    offered = dict(SUGGESTIONS)
    if draft.strategy is CacheStrategy.SEMANTIC and context.services().semantic is not None:
        offered["Ask it in other words"] = (OTHER_WORDS, False)
    with st.container(horizontal=True, gap="small"):
        for position, name in enumerate(offered):
            prompt, past_cache = offered[name]
            ask = msgspec.structs.replace(draft, prompt=prompt, past_cache=past_cache or draft.past_cache)
            st.button(
                f"{position + 1}. {name}",
                key=f"suggestion-{position}",
                help=one_line(prompt),
                type="primary" if position == len(turns) else "secondary",
                on_click=_queue,
                args=(ask,),
                disabled=not draft.model or not context.actor().may(Action.ASK),
            )
        transcripts(turns)


def _begin() -> None:
    st.session_state["has-asked"] = True


def _queue(ask: Ask) -> None:
    _begin()
    st.session_state["waiting"] = ask


def _queue_comparison(turn_id: str) -> None:
    st.session_state["compared"] = turn_id


def _clear() -> None:
    st.session_state["turns"] = []
    st.session_state["has-asked"] = False


def send(ask: Ask, turns: list[Turn]) -> None:
    """Sends a prompt and shows the answer as it comes."""
    turn = Turn(id=uuid4().hex[:12], ask=ask, asked_at=time.time(), problem=STOPPED)
    turns.append(turn)
    del turns[:-MOST_TURNS]
    _prompt(turn)
    with st.chat_message("assistant", avatar=":material/cached:"):
        received = Received()
        try:
            receive(ask, received, Drawing("Looking in the cache, then asking the model"))
        finally:
            turn.text, turn.answer, turn.problem = received.text, received.answer, received.problem
    context.readings().renew()


def compare_now(turn: Turn) -> None:
    """Asks the model past the cache, to be shown beside the stored answer."""
    turn.fresh = Received()
    with st.chat_message("assistant", avatar=outcomes.BYPASS.icon):
        drawing = Drawing("Asking the model past the cache")
        receive(msgspec.structs.replace(turn.ask, past_cache=True), turn.fresh, drawing)
    context.readings().renew()


class Drawing:
    """Draws a growing text where it is made, and for how long it has been waited for."""

    def __init__(self, until_it_comes: str) -> None:
        self._began = time.monotonic()
        self._until_it_comes = until_it_comes
        self._drawn = ""
        self._text, self._clock = st.empty(), st.empty()
        self("")

    def __call__(self, text: str) -> None:
        if text != self._drawn:
            self._text.text(visible(text) + " ▌", width="stretch")
            self._drawn = text
        what = "The answer is coming" if text else self._until_it_comes
        self._clock.caption(f"{what}… {time.monotonic() - self._began:.1f} s")


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
            show_answer(turn.text)
        if turn.problem:
            if turn.problem == STOPPED:
                st.warning(STOPPED, icon=":material/stop_circle:")
            else:
                st.error(f"**No answer.** {literal(turn.problem, 400)}", icon=outcomes.ERROR.icon)
            st.button(
                "Send it again",
                key=f"again-{turn.id}",
                icon=":material/refresh:",
                on_click=_queue,
                args=(turn.ask,),
                disabled=not context.actor().may(Action.ASK),
            )
        if turn.answer is not None:
            with st.container(border=True, gap="small"):
                decision(turn, turn.answer)
                _next_steps(turn, turn.answer)
                if turn.fresh is not None:
                    side_by_side(turn, turn.fresh)


def _next_steps(turn: Turn, answer: Answer) -> None:
    may = context.actor().may(Action.ASK)
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Ask again",
            key=f"repeat-{turn.id}",
            icon=":material/refresh:",
            on_click=_queue,
            args=(turn.ask,),
            disabled=not may,
        )
        st.button(
            "Ask again without the cache",
            key=f"fresh-{turn.id}",
            icon=outcomes.BYPASS.icon,
            on_click=_queue,
            args=(msgspec.structs.replace(turn.ask, past_cache=True),),
            disabled=not may,
        )
        if turn.is_stored:
            st.button(
                "Compare with fresh",
                key=f"compare-{turn.id}",
                icon=":material/compare:",
                on_click=_queue_comparison,
                args=(turn.id,),
                disabled=not may,
                help="Asks the model once more, past the cache, and shows both answers side by side.",
            )
            if not turn.imported:
                verdict_buttons(turn, answer)
    show_verdict(turn)


# Transcripts


def transcripts(turns: list[Turn]) -> None:
    """Turns to a file, and back."""
    if turns:
        st.download_button(
            "Transcript",
            lambda: dump(turns),
            "transcript.json",
            "application/json",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            help="All prompts and answers of this session, with how each came about.",
        )
        st.button("Clear", icon=":material/delete_sweep:", type="tertiary", on_click=_clear, key="clear")
    with st.popover("Import", icon=":material/upload_file:", type="tertiary", key="import"):
        given = st.file_uploader(
            "A transcript of the playground",
            type="json",
            key=f"transcript-{st.session_state.get('imports', 0)}",
            max_upload_size=MOST_BYTES // 1_000_000,
            help="Shown as it is: nothing of it is sent, and nothing is stored.",
        )
        if given is not None:
            st.button(
                "Show it",
                key="import-go",
                type="primary",
                icon=":material/visibility:",
                on_click=_import,
                args=(given.getvalue(),),
            )
        if problem := st.session_state.get("import-problem"):
            st.error(f"**Not imported.** {literal(problem, 400)}", icon=":material/error:")


def _import(text: bytes) -> None:
    try:
        loaded = load(text)
    except InvalidInput as error:
        st.session_state["import-problem"] = str(error)
        return
    st.session_state["import-problem"] = ""
    st.session_state["imports"] = st.session_state.get("imports", 0) + 1
    turns = st.session_state["turns"]
    turns += loaded
    del turns[:-MOST_TURNS]


page()
