"""Charts of semantic quality."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from core.semantic.quality import CurvePoint, Point, ReplayPoint
from pages.components.display import outcomes
from pages.components.display.charts import MARK_COLOUR, blank, scale_shares
from pages.components.display.figures import local, many, share


def precision_over_hit_rate(points: Sequence[CurvePoint], in_force: float | None, budget: float) -> go.Figure:
    """Share of near matches each threshold would serve, and share of those right; one point a threshold."""
    figure = blank("")
    labelled = [point for point in points if point.labels]
    rates = [point.hit_rate for point in labelled]
    for look, name, values in (
        (outcomes.HIT_EXACT, "right, of those labelled", [point.precision for point in labelled]),
        (outcomes.MISS, "right, at least (95 % confidence)", [1 - point.bound for point in labelled]),
    ):
        figure.add_scatter(
            x=rates,
            y=values,
            name=name,
            mode="lines+markers" if len(labelled) < 3 else "lines",
            line={"color": look.hexadecimal, "dash": look.dash, "width": 2},
            customdata=[
                f"{share(value)} from {point.threshold:.3f} on: {point.errors} wrong of {point.labels}"
                for value, point in zip(values, labelled, strict=True)
            ],
            hovertemplate="%{customdata}",
        )
    figure.add_hline(
        y=1 - budget,
        line={"color": MARK_COLOUR, "width": 1.5, "dash": "dot"},
        annotation={"text": f"budget {share(budget, 0)}", "font": {"size": 11, "color": MARK_COLOUR}},
        annotation_position="top right",
    )
    served = next((point for point in labelled if in_force is not None and point.threshold <= in_force), None)
    if served is not None:
        figure.add_scatter(
            x=[served.hit_rate],
            y=[served.precision],
            name="in force",
            mode="markers",
            marker={"color": outcomes.ERROR.hexadecimal, "size": 11, "symbol": "diamond"},
            hoverinfo="skip",
        )
    lowest = min((1 - point.bound for point in labelled if point.labels > 9), default=0.5)
    figure.update_xaxes(title={"text": "near matches that would be served", "standoff": 6})
    scale_shares(figure, 0, min(1.02, max(rates, default=1.0) * 1.05), "xaxis")
    scale_shares(figure, max(0.0, min(lowest, 1 - 2 * budget) - 0.03), 1.01)
    return figure


def bound_over_time(line: Sequence[Point], budget: float) -> go.Figure:
    """The bound on the share of wrong hits and the share estimated, as of each time that labels came."""
    figure = blank("")
    times = [local(point.at) for point in line]
    for look, name, values in (
        (outcomes.MISS, "wrong, at most (95 % confidence)", [point.bound for point in line]),
        (outcomes.ERROR, "wrong, estimated", [point.estimate for point in line]),
    ):
        figure.add_scatter(
            x=times,
            y=values,
            name=name,
            mode="lines+markers" if len(line) < 3 else "lines",
            line={"color": look.hexadecimal, "dash": look.dash, "width": 2, "shape": "hv"},
            customdata=[
                f"{share(value)} after {many(point.labels, 'label')}" for value, point in zip(values, line, strict=True)
            ],
            hovertemplate="%{customdata}",
        )
    figure.add_hline(
        y=budget,
        line={"color": MARK_COLOUR, "width": 1.5, "dash": "dot"},
        annotation={"text": f"budget {share(budget, 0)}", "font": {"size": 11, "color": MARK_COLOUR}},
        annotation_position="top right",
    )
    lowest = min(point.bound for point in line)
    highest = max(line[-1].bound, 2 * lowest, *(point.estimate for point in line), 2 * budget)
    scale_shares(figure, 0, min(1.02, 1.5 * highest))
    return figure


def what_if(points: Sequence[ReplayPoint], in_force: float | None, grey: float | None) -> go.Figure:
    """Outcomes of recorded lookups at each threshold: answered, and of those wrong."""
    figure = blank("")
    rising = sorted(points, key=lambda point: point.threshold)
    for look, name, values in (
        (outcomes.HIT_EXACT, "would have hit", [point.hit_rate for point in rising]),
        (
            outcomes.ERROR,
            "wrong, of those labelled",
            [point.errors / point.labelled if point.labelled else None for point in rising],
        ),
        (
            outcomes.MISS,
            "wrong, at most (95 % confidence)",
            [point.bound if point.labelled else None for point in rising],
        ),
    ):
        figure.add_scatter(
            x=[point.threshold for point in rising],
            y=values,
            name=name,
            mode="lines",
            line={"color": look.hexadecimal, "dash": look.dash, "width": 2},
            customdata=[share(value) for value in values],
            hovertemplate="%{customdata}",
        )
    for at, words in ((in_force, "in force"), (grey, "judged from")):
        if at is not None:
            figure.add_vline(
                x=at,
                line={"color": MARK_COLOUR, "width": 1.5, "dash": "dot"},
                annotation={"text": words, "font": {"size": 11, "color": MARK_COLOUR}},
                annotation_position="top left",
            )
    figure.update_xaxes(title={"text": "cosine to serve from", "standoff": 6}, tickformat=".2f")
    scale_shares(figure, -0.02, 1.02)
    return figure
