"""Adding answers: from a file of JSON Lines, or written by hand."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.entries import MOST_BYTES, MOST_REFUSALS, Imported
from core.errors import InvalidInput
from core.metrics import reasons
from core.models import Answer, ChatRequest, Controls, ttl
from pages.components.data import actions, context, queries
from pages.components.data.context import edits
from pages.components.data.parameters import given_parameters
from pages.components.display.figures import UNKNOWN, many
from pages.components.display.namespaces import named
from pages.components.display.text import plain, visible
from pages.components.entries.detail import look_again, may_edit, read_only_note

TTLS: dict[str, float | None] = {
    "By kind of question": None,
    "1 hour": 3600,
    "1 day": 86_400,
    "7 days": 7 * 86_400,
    "30 days": 30 * 86_400,
}

EXAMPLE = (
    '{"model": "gpt-4o", "messages": [{"role": "user", "content": "How do I activate my card?"}],\n'
    ' "parameters": {"temperature": 0.2}, "answer": "Open the app and ...", "ttl_seconds": 86400, "tags": ["doc:12"]}'
)


def intake(namespace: str) -> None:
    """Draws both forms of adding answers, folded."""
    with st.expander("Import answers", icon=":material/upload:", key="entries-import", on_change="rerun") as importing:
        if importing.open:
            _import(namespace)
    with st.expander("Write an answer", icon=":material/edit:", key="entries-write", on_change="rerun") as writing:
        if writing.open:
            _write(namespace)


def _import(namespace: str) -> None:
    st.caption(
        "JSON Lines, one request with its answer per line: to warm up a cache, or to bring exported entries back. "
        f"The rules for storing apply. At most {MOST_BYTES // 1_000_000} MB at once."
    )
    st.code(EXAMPLE, language=None, wrap_lines=True)
    given = st.file_uploader(
        "File of JSON Lines",
        key="entries-file",
        max_upload_size=MOST_BYTES // 1_000_000,
        disabled=not may_edit(),
    )
    if st.button(
        f"Import into {named(namespace, queries.naming())}",
        key="entries-import-go",
        icon=":material/upload:",
        type="primary",
        disabled=given is None or not may_edit(),
    ) and (given is not None):
        with st.spinner("Storing…", show_time=True):
            text = given.getvalue()
            st.session_state["entries-imported"] = actions.perform(
                "import", lambda: edits().import_lines(text, namespace), _imported
            )
            look_again()
        st.rerun()
    read_only_note()
    actions.show_last("import")
    done: Imported | None = st.session_state.get("entries-imported")
    if done is not None and done.refusals:
        st.caption(f"{many(done.refused, 'line')} not stored{_end(done)}")
        rows = [
            {"line": refusal.line, "why": visible(reasons.why_refused(refusal.reason))} for refusal in done.refusals
        ]
        st.dataframe(
            pd.DataFrame(rows),
            column_config={
                "line": st.column_config.NumberColumn("Line", width=80),
                "why": st.column_config.TextColumn("Why it was not stored", width="large"),
            },
            hide_index=True,
            key="entries-refusals",
            placeholder=UNKNOWN,
            alt="Lines that were not stored, and why",
        )


def _imported(done: Imported) -> str:
    return f"{done.stored:,} of {many(done.lines, 'line')} stored."


def _end(done: Imported) -> str:
    if done.is_whole:
        return ":"
    return f"; the import ended after {MOST_REFUSALS:,} of them, and the lines after the last of them were not read:"


def _write(namespace: str) -> None:
    st.caption(
        "Served to requests with exactly this model, system prompt and these parameters, until its TTL ends or it is "
        "invalidated."
    )
    with st.form("entries-written", border=False, clear_on_submit=False):
        with st.grid(3, min_column_width=180, gap="small"):
            model = st.selectbox(
                "Model", context.offered_models(), key="written-model", accept_new_options=True, placeholder="Name it"
            )
            time_to_live = st.selectbox("TTL", list(TTLS), key="written-ttl")
            parameters = st.text_input(
                "Parameters, as JSON",
                key="written-parameters",
                placeholder='{"temperature": 0.2}',
                max_chars=2000,
                help="With another temperature it is another request.",
            )
        system = st.text_area("System prompt", key="written-system", placeholder="None", height=68)
        prompt = st.text_area("Prompt", key="written-prompt", height=68, max_chars=20_000)
        answer = st.text_area("Answer", key="written-answer", height=120, max_chars=100_000)
        submitted = st.form_submit_button(
            f"Store in {named(namespace, queries.naming())}",
            key="written-go",
            icon=":material/save:",
            type="primary",
            disabled=not may_edit(),
        )
    if submitted:

        def store() -> Answer | str:
            request, controls = _asked(model, system, prompt, parameters, TTLS[time_to_live], namespace)
            return edits().write(request, answer, controls)

        stored = actions.perform("written", store, _written)
        if isinstance(stored, str):
            actions.forget_last("written")
            st.error(f"**Not stored.** {plain(reasons.why_refused(stored))}", icon=":material/block:")
        elif stored is not None:
            look_again()
            st.rerun()
    read_only_note()
    actions.show_last("written")


def _asked(
    model: str | None, system: str, prompt: str, parameters: str, ttl_seconds: float | None, namespace: str
) -> tuple[ChatRequest, Controls]:
    """The request that is answered, and what it asks of the cache. Raises InvalidInput."""
    if not prompt.strip():
        raise InvalidInput("prompt", "give the question that is answered")
    messages = [{"role": "system", "content": system}] if system.strip() else []
    messages.append({"role": "user", "content": prompt})
    request = ChatRequest.from_openai(model=model or "", messages=messages, **given_parameters(parameters))
    return request, Controls(namespace=namespace, ttl=ttl(ttl_seconds))


def _written(stored: Answer | str) -> str:
    return "Stored: the next identical request is a hit." if isinstance(stored, Answer) else ""
