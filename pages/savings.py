"""Savings: what the cache saved, month by month, to look at, to take along and to print."""

from __future__ import annotations

import streamlit as st

from pages.components.data import queries
from pages.components.display.placeholder import placeholder
from pages.components.display.styles import printable
from pages.components.savings import sheet
from pages.components.savings.controls import Chosen, choose
from pages.components.shell.frame import frame, nothing_yet

RENEW_SECONDS = 10


def page() -> None:
    if not frame("Savings", "What answers from the cache saved, by month."):
        return
    printable()
    st.fragment(body, run_every=RENEW_SECONDS)(choose())


def body(chosen: Chosen) -> None:
    """Draws the sheet of the month, or what stands in its place."""
    reading = queries.savings(chosen.by, chosen.namespace, chosen.model)
    if reading.value is None:
        nothing_yet(reading)
        return
    found, naming = reading.value
    if not any(month.requests for month in found.months) and not found.total_usd:
        narrowed = chosen.namespace or chosen.model
        placeholder(
            ":material/savings: **Nothing has been counted yet**",
            "No month has a request for this namespace and model. Choose others above."
            if narrowed
            else "Savings appear with the first requests: every answer from the cache saves what it had cost. Send a "
            "prompt twice in the playground to see it.",
        )
    else:
        sheet.draw(found, naming, chosen, reading)


page()
