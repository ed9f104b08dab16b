"""The controls of the next prompt, filled by hand or by a link."""

from __future__ import annotations

import streamlit as st

from core.models import CacheStrategy
from pages.components.data import context, queries
from pages.components.display.namespaces import choosing, told_of
from pages.components.playground.conversation import Ask

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


def controls() -> Ask:
    """Draws the controls; returns the request they describe, without a prompt."""
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
            help="The most expensive lookup this request may use. Cheaper ones are always tried first; a request can "
            "lower the configured limit, never raise it.",
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
            "Bypass the cache",
            key="playground-bypass",
            persist_state="session",
            help="Neither answers from the cache nor stores the answer: Cache-Control: no-store.",
        )
        st.toggle(
            "With history",
            key="playground-history",
            persist_state="session",
            help="Sends the conversation along with what you type. It is part of the scope: after another "
            "conversation the same words are another request.",
        )
        with st.popover("Namespace, system prompt, parameters", icon=":material/tune:", type="tertiary"):
            namespaces, naming = queries.namespaces(), queries.naming()
            namespace = st.selectbox(
                "Namespace",
                namespaces,
                key="playground-namespace",
                persist_state="session",
                format_func=choosing(naming),
                help=told_of(namespaces, naming),
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
