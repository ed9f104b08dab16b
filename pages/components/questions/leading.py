"""From a question to its requests."""

from __future__ import annotations

from typing import NoReturn

import streamlit as st

from core.metrics import MAX_TEXT
from pages.components.display.links import FOUND_REQUESTS, REQUESTS
from pages.components.shell.address import visit


def open_requests(question: str) -> NoReturn:
    """Opens the requests with a question. The text goes along in the session: a URL is in logs and histories."""
    st.session_state[FOUND_REQUESTS] = question[:MAX_TEXT]
    visit(REQUESTS, {"range": "7d"})  # as far back as the log goes
