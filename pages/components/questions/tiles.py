"""The figures above the map of questions."""

from __future__ import annotations

import streamlit as st

from core.semantic.questions import QuestionReport
from pages.components.display import tiles
from pages.components.display.figures import many, money, number, share
from pages.components.display.tiles import Tile


def figures(report: QuestionReport, *, stale: bool) -> None:
    """Draws the sums over all groups."""
    groups = report.groups
    hits, misses = sum(one.hits for one in groups), sum(one.misses for one in groups)
    repeats = sum(one.repeats for one in groups)
    unpriced = sum(one.unpriced for one in groups)
    rate = hits / (hits + misses) if hits + misses else None
    without = f"; {number(unpriced)} without a price" if unpriced else ""
    with st.grid(4, min_column_width=150):
        for tile in (
            Tile(
                label="Questions",
                value=number(len(report.questions)),
                below=f"in {many(len(groups), 'group')}; {share(rate)} hits",
                explained="Different questions: case and white space do not count.",
            ),
            Tile(
                label="Spent on misses",
                value=money(sum(one.spent_usd for one in groups)),
                below=f"{many(misses, 'miss', 'misses')}{without}",
                explained="What the provider's answers to these questions cost.",
            ),
            Tile(
                label="Spent on repeats",
                value=money(sum(one.repeated_usd for one in groups)),
                below=many(repeats, "repeated miss", "repeated misses"),
                explained="The part of it for questions that the same namespace had asked the same model before. Their "
                "requests say why they missed: the TTL, an invalidation, another system prompt.",
            ),
            Tile(
                label="Saved by hits",
                value=money(sum(one.saved_usd for one in groups)),
                below=many(hits, "hit"),
                explained="What the answers from the cache had cost when they were generated.",
            ),
        ):
            with st.container(border=True, height="stretch"):
                tiles.draw([tile], stale=stale)
