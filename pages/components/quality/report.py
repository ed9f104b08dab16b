"""The report on semantic answers: false hits, agreement, figures."""

from __future__ import annotations

import streamlit as st

from core.metrics import Hedging
from core.models import SemanticMode
from core.semantic import JUDGE_WORDS
from core.semantic.quality import EvidenceReport, FalseHits, Threshold, labels_needed
from pages.components.data import context, queries, semantic
from pages.components.data.view import EvidenceView
from pages.components.display import charts, tiles
from pages.components.display.figures import UNKNOWN, clock, many, milliseconds, money, number, sentence, share
from pages.components.display.tables import in_figures
from pages.components.display.text import plain
from pages.components.display.tiles import Tile
from pages.components.quality import charts as quality_charts
from pages.components.quality import tables
from pages.components.quality.bound import bound
from pages.components.shell.frame import nothing_yet


def figures(view: EvidenceView) -> None:
    """Draws the tiles and the curve."""
    reading = semantic.evidence(view)
    report = reading.value
    if report is None:
        nothing_yet(reading)
        return
    budget = context.services().settings.false_hit_budget
    st.caption(
        f"{many(report.lookups, 'recorded lookup')} and {many(report.labels, 'labelled pair')}, "
        f"{view.words}, read at {clock(reading.read_at)}"
    )
    with st.grid(3, min_column_width=200):
        for tile in (
            false_hits(report, budget),
            still_needed(report, budget),
            agreement(report),
            labels(report),
            lookups(report),
            judging(report, semantic.hedging(view.window).value),
        ):
            with st.container(border=True, height="stretch"):
                tiles.draw([tile])
    if report.grey is not None:
        st.caption(f":material/gavel: {plain(report.grey.sentence)}")
    if report.standing is not None:
        bound(report.standing)
    if any(point.labels for point in report.curve):
        with st.container(border=True, gap="xsmall"):
            st.markdown("**Precision by hit rate**")
            st.plotly_chart(
                quality_charts.precision_over_hit_rate(report.curve, served_from(report.threshold), budget),
                key="chart-precision",
                config=charts.CONFIG,
                alt="Share of right answers, by the share of near matches that would be served",
            )
            st.caption(
                "From labelled near matches that the guards let pass, without a judge. The dashed line is what the "
                "labels prove."
            )
    all_namespaces(view)


def all_namespaces(view: EvidenceView) -> None:
    """The false hits of every namespace side by side, where there is more than one."""
    found = semantic.evidence_of_all(view.window).value or []
    if len(found) < 2:
        return
    with st.container(border=True, gap="small"):
        st.markdown("**All namespaces**")
        st.dataframe(
            in_figures(
                tables.namespaces(
                    tables.ordered(found, context.services().settings.false_hit_budget),
                    context.services().settings.false_hit_budget,
                    queries.naming(one.namespace for one in found),
                )
            ),
            column_config=tables.NAMESPACE_COLUMNS,
            hide_index=True,
            height=min(35 * len(found) + 38, 300),
            key="quality-namespaces",
            placeholder=UNKNOWN,
            alt="False hits of each namespace against the budget",
        )


def served_from(threshold: Threshold) -> float | None:
    """The cosine from which near answers are served unjudged; None where none are."""
    return None if threshold.mode is SemanticMode.OFF else threshold.serve


def judged_from(threshold: Threshold) -> float | None:
    """The cosine from which a judge is asked; None where none is."""
    return threshold.grey if threshold.mode is SemanticMode.JUDGE else None


def false_hits(report: EvidenceReport, budget: float) -> Tile:
    """The tile of wrong answers among the near answers served, with their bound."""
    found = report.false_hits
    if found is not None:
        whose = "answers that the judge approved" if found.judged else "labels"
        below = (
            f"{found.errors} wrong of {found.checked} {whose} · at most {share(found.bound)} · {verdict(found, budget)}"
        )
    elif report.threshold.mode is SemanticMode.OFF:
        below = "nothing is served now"
    elif served_from(report.threshold) is None:
        below = "not measured: no answer that the judge approved was checked"
    else:
        below = "not measured: no label since it was published"
    return Tile(
        label="False hits per hit",
        value=share(found.share) if found is not None else UNKNOWN,
        below=below,
        explained="Share of near answers that were wrong since the threshold was published, as estimated. With 95 % "
        "confidence the true share was never above the bound, whenever you look.",
    )


def verdict(found: FalseHits, budget: float) -> str:
    """Whether labels prove the budget, refute it, or are too few."""
    match found.verdict(budget):
        case True:
            return f":material/check_circle: within the budget of {share(budget, 0)}"
        case False:
            return f":material/error: above the budget of {share(budget, 0)}"
        case _:
            return f":material/help: {share(budget, 0)} not proved yet"


def still_needed(report: EvidenceReport, budget: float) -> Tile:
    """The tile that says how many more labels it takes until hits are served unjudged."""
    known, to_begin = report.standing, labels_needed(budget)
    return Tile(
        label="Labels still needed",
        value=number(known.still_needed if known is not None else to_begin),
        below=f"it takes {many(to_begin, 'clean label')} to begin"
        if known is not None
        else "after a threshold is published, to serve unjudged",
        explained=f"Clean labels, of matches that the judge is asked about first, until the bound is within "
        f"{share(budget, 0)} and hits are served without it.",
    )


def agreement(report: EvidenceReport) -> Tile:
    """The tile of how often the judge agrees with operators."""
    found = report.agreement
    return Tile(
        label="Judge agreement",
        value=share(found.agreed / found.pairs) if found.pairs else UNKNOWN,
        below=f"{many(found.pairs, 'pair')} · {found.false_yes} wrongly approved · {found.false_no} wrongly refused"
        if found.pairs
        else "no pair is labelled by both",
        explained="With operators, on pairs that both have labelled. A wrong approval serves a wrong answer, a wrong "
        "refusal costs a hit.",
    )


def labels(report: EvidenceReport) -> Tile:
    """The tile of labels, by operators and by the judge."""
    return Tile(
        label="Labels",
        value=number(report.labels),
        below=f"{report.operator_labels} by operators · {report.judge_labels} by the judge · "
        f"{report.unlabelled} without",
        explained="Near matches that a cosine alone would have served. Each counts once: an operator's label before "
        "the judge's.",
    )


def lookups(report: EvidenceReport) -> Tile:
    """The tile of near hits: the share of semantic lookups that found something."""
    return Tile(
        label="Near hits",
        value=share(report.hits / report.lookups) if report.lookups else UNKNOWN,
        below=f"{number(report.hits)} of {many(report.lookups, 'semantic lookup')}",
        explained="Lookups without an exact or normalized hit that found a near question.",
    )


def judging(report: EvidenceReport, hedging: Hedging | None) -> Tile:
    """The tile of what judging cost and saved, and what hedging cost."""
    found = report.judging
    hedged = ""
    if hedging is not None and hedging.dropped:
        hedged = f" · hedging: {money(hedging.cost_usd)} for {many(hedging.dropped, 'dropped call')}, all namespaces"
    rulings = (
        " · ".join(f"{count} {JUDGE_WORDS.get(word, plain(word))}" for word, count in found.rulings.items())
        or "never asked"
    )
    return Tile(
        label="Judging saved, net",
        value=money(found.saved_usd - found.cost_usd),
        below=sentence(
            f"saved {money(found.saved_usd)}, cost {money(found.cost_usd)} · {rulings} · "
            f"p95 {milliseconds(found.p95_ms)}{hedged}"
        ),
        explained="What the answers that it approved had cost, less what its calls cost. When an approved wording is "
        "asked again it is an exact hit, not counted here.",
    )
