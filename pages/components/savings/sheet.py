"""The sheet of the Savings page: tiles, notes, the chart of all months, and the table of one with its files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from core.metrics import MonthSavings, Savings, savings_csv
from core.namespaces import Naming
from pages.components.data.readings import Reading
from pages.components.display import charts
from pages.components.display.chart_cache import drawings
from pages.components.display.figures import UNKNOWN, cents, local, many, number, sentence
from pages.components.display.namespaces import hexadecimal
from pages.components.display.text import literal
from pages.components.display.tiles import Tile
from pages.components.display.tiles import draw as draw_tiles
from pages.components.savings import tables
from pages.components.savings.charts import by_month
from pages.components.savings.controls import Chosen
from pages.components.savings.names import BY, month_words


def draw(found: Savings, naming: Naming, chosen: Chosen, reading: Reading[Any]) -> None:
    """Draws the sheet of the chosen month."""
    month = found.of(chosen.month)
    stale = bool(reading.error)
    with st.container(key="savings-sheet"):
        said = f"{month_words(chosen.month)}{'' if month is None or month.complete else ', so far'}"
        st.subheader(said, anchor=False)
        read = f"As of {local(reading.read_at):%-d %B %Y, %H:%M:%S}. Months are in UTC. {_of_what(chosen)}"
        st.caption(f":material/cloud_off: {read} The last values read." if stale else read)
        if month is None or not month.requests:
            st.info(f"No request was counted in {month_words(chosen.month)}.", icon=":material/event_busy:")
        else:
            with st.container(key="savings-tiles"), st.grid(5, min_column_width=150, gap=("xsmall", "small")):
                draw_tiles(_tiles(found, month, chosen), stale=stale)
        if notes := _notes(found, month):
            st.caption("  \n".join(notes))
        if len(found.months) > 1 or (month and month.requests):
            with st.container(border=True, gap="xsmall"):
                st.markdown(f"**Saved each month, by {BY[chosen.by[0]]}**")
                every = {line.namespace for one in found.months for line in one.lines if line.namespace}
                named = {one: naming.shown(one) for one in sorted(every)}
                looks = {named[one]: hexadecimal(one, naming) for one in named} if chosen.by[0] == "namespace" else {}
                coloured = {name: colour for name, colour in looks.items() if colour}
                drawing = drawings().get(by_month, list(found.months), chosen.by[0], named, coloured, stale=stale)
                st.plotly_chart(
                    drawing, key="chart-savings", config=charts.CONFIG, alt="Saved and spent each month, in US dollars"
                )
        if month is not None and month.lines:
            st.table(
                tables.lines(month, chosen.by, naming),
                border="horizontal",
                hide_index=True,
                alt=f"Savings of {said} by {', '.join(BY[name] for name in chosen.by)}",
            )
        _files(found, naming, month)


def _of_what(chosen: Chosen) -> str:
    parts = []
    if chosen.namespace:
        parts.append(f"namespace {literal(chosen.namespace, 60)}")
    if chosen.model:
        parts.append(f"model {literal(chosen.model, 60)}")
    return f"Of {' and '.join(parts)} only." if parts else "Of all namespaces and models."


def _tiles(found: Savings, month: MonthSavings, chosen: Chosen) -> list[Tile]:
    narrowed = chosen.namespace is not None or chosen.model is not None
    before = found.months[found.months.index(month) - 1] if found.months.index(month) else None
    purposes = " · ".join(f"{name} {cents(amount)}" for name, amount in month.overhead.items() if amount)
    return [
        Tile(
            label="Saved, net",
            value=cents(month.net_usd),
            below=sentence(
                f"{cents(month.saved_usd)} less {cents(month.overhead_usd)}"
                if month.overhead_usd
                else f"by {many(month.hits, 'hit')} of {many(month.requests, 'request')}"
            ),
            explained="What the answers from the cache had cost when they were generated, less what judging and "
            "embedding cost.",
        ),
        Tile(
            label="Spent",
            value=cents(month.spent_usd),
            below=sentence(f"{cents(month.without_cache_usd)} without the cache"),
            explained="What calls of the provider cost. Without the cache, each answer that it served would have cost "
            "what it cost when it was generated.",
        ),
        Tile(
            label="Own cost",
            value=UNKNOWN if narrowed else cents(month.overhead_usd),
            below="known for all together only" if narrowed else sentence(purposes) or "nothing was judged or embedded",
            explained="What the cache itself spent: on the judge of near questions, on embeddings, and on calls of "
            "the provider that were dropped because the judge approved.",
        ),
        Tile(
            label="The month before",
            value=cents(before.net_usd) if before else UNKNOWN,
            below=f"net, in all of {month_words(before.month)}" if before else "was not counted",
            explained="What the month before the chosen one saved, net, from its first day to its last.",
        ),
        Tile(
            label="Since the beginning",
            value=cents(found.total_usd),
            below="saved by hits, as /metrics says" if not narrowed else "saved by hits",
            explained="All that answers from the cache ever saved, before what judging and embedding cost: the sum of "
            "encore_cost_saved_usd_total in /metrics.",
        ),
    ]


def _notes(found: Savings, month: MonthSavings | None) -> list[str]:
    notes = []
    if month is not None:
        parts = [
            (month.unpriced_hits, "hit", "hits"),
            (month.unpriced_calls, "call of the provider", "calls of the provider"),
            (month.unpriced_overhead, "call to judge or embed", "calls to judge or embed"),
        ]
        if unpriced := [many(count, one, more) for count, one, more in parts if count]:
            notes.append(f":material/help: Without a known price, and in no sum: {', '.join(unpriced)}.")
        if any(tables.OTHER in (line.namespace, line.model, line.ttl_class) for line in month.lines):
            notes.append(
                f"{literal(tables.OTHER)} stands for names that are counted together: those beyond 1,000 combinations "
                "of namespace and model in a month, or beyond 100 in a minute."
            )
    if found.since is not None:
        words = f"Months are counted since {datetime.fromtimestamp(found.since, UTC):%-d %B %Y}"
        if found.earlier_usd:
            words += f"; {cents(found.earlier_usd)} was saved before the first of them"
        notes.append(sentence(f"{words}."))
    return notes


def _files(found: Savings, naming: Naming, month: MonthSavings | None) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="savings-files"):
        if month is not None:
            st.download_button(
                "Download this month as CSV",
                lambda: savings_csv(found, [month], naming.shown).encode(),
                f"encore-savings-{month.month}.csv",
                "text/csv",
                key="savings-month-csv",
                icon=":material/download:",
                on_click="ignore",
            )
        st.download_button(
            "Download all months as CSV",
            lambda: savings_csv(found, found.months, naming.shown).encode(),
            "encore-savings.csv",
            "text/csv",
            key="savings-csv",
            icon=":material/download:",
            on_click="ignore",
        )
        words = "Print this page with your browser: it becomes one sheet without controls."
        if month is not None and len(month.lines) > tables.MOST_LINES:
            words += f" The files have all {number(len(month.lines))} lines."
        st.caption(words, width="stretch")
