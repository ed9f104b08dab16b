"""Rows and columns of the tables about semantic quality."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from streamlit import column_config as column

from core.namespaces import Naming
from core.semantic.quality import EvidenceReport, Published, ReplayPoint, Threshold, WrongHit
from pages.components.display.figures import local
from pages.components.display.namespaces import shown
from pages.components.display.text import one_line

VERSION_COLUMNS: dict[str, Any] = {
    "version": column.NumberColumn("Version", width=75),
    "time": column.DatetimeColumn("When", format="D MMM, HH:mm:ss", width=130),
    "act": column.TextColumn("How", width=100),
    "actor": column.TextColumn("By", width=150),
    "mode": column.TextColumn("Mode", width=80),
    "serve": column.NumberColumn("Served from", format="%.3f", width=100),
    "grey": column.NumberColumn("Judged from", format="%.3f", width=100),
    "note": column.TextColumn("Why", width="medium"),
}


NAMESPACE_COLUMNS: dict[str, Any] = {
    "namespace": column.TextColumn("Namespace", width=150),
    "mode": column.TextColumn("Mode", width=70),
    "verdict": column.TextColumn("Budget", width=120),
    "false_hits": column.NumberColumn("False hits per hit", width=120),
    "bound": column.NumberColumn("At most (95 %)", width=130),
    "checked": column.NumberColumn("Checked", width=80),
    "wrong": column.NumberColumn("Wrong", width=70),
    "lookups": column.NumberColumn("Lookups", format="localized", width=80),
    "near_hits": column.NumberColumn("Near hits", format="localized", width=80),
    "labels": column.NumberColumn("Labels", format="localized", width=80),
}


REPLAY_COLUMNS: dict[str, Any] = {
    "threshold": column.NumberColumn("Served from", format="%.3f"),
    "hits": column.NumberColumn("Would have hit"),
    "rate": column.NumberColumn("Of all lookups"),
    "labelled": column.NumberColumn("Have a label"),
    "errors": column.NumberColumn("Wrong"),
    "bound": column.NumberColumn("Wrong at most (95 %)"),
    "saved_usd": column.NumberColumn("Would have saved"),
}


WRONG_COLUMNS: dict[str, Any] = {
    "question": column.TextColumn("Question", width=300),
    "stored": column.TextColumn("Answered by that to", width=300),
    "similarity": column.NumberColumn("Cosine", format="%.3f", width=70),
    "lookups": column.NumberColumn("Lookups", format="localized", width=75),
}


def versions(found: Iterable[Published], configured: Threshold) -> pd.DataFrame:
    """Versions of a namespace's threshold, the latest first."""
    rows = []
    for one in found:
        threshold = one.threshold or configured
        rows.append(
            {
                "version": one.version,
                "time": local(one.at).replace(tzinfo=None),
                "act": one.act.value.replace("-", " "),
                "actor": one_line(one.actor, 60),
                "mode": threshold.mode.value,
                "serve": threshold.serve,
                "grey": threshold.grey,
                "note": one_line(one.note, 200),
            }
        )
    return pd.DataFrame(rows, columns=list(VERSION_COLUMNS))


_VERDICTS = {True: "within", False: "exceeded", None: "not proved yet"}


def ordered(found: Iterable[EvidenceReport], budget: float) -> list[EvidenceReport]:
    """The reports in the order of the table: those over the budget first, then those with most lookups."""

    def place(report: EvidenceReport) -> tuple[bool, int, str]:
        wrong = report.false_hits
        return (wrong is None or wrong.verdict(budget) is not False, -report.lookups, report.namespace)

    return sorted(found, key=place)


def namespaces(found: Iterable[EvidenceReport], budget: float, naming: Naming) -> pd.DataFrame:
    """What evidence says of each namespace, in this order."""
    rows = []
    for report in found:
        wrong = report.false_hits
        rows.append(
            {
                "namespace": shown(report.namespace, naming),
                "mode": report.threshold.mode.value,
                "verdict": _VERDICTS[wrong.verdict(budget)] if wrong else "not measured",
                "false_hits": wrong.share if wrong else None,
                "bound": wrong.bound if wrong else None,
                "checked": wrong.checked if wrong else 0,
                "wrong": wrong.errors if wrong else 0,
                "lookups": report.lookups,
                "near_hits": report.hits,
                "labels": report.labels,
            }
        )
    return pd.DataFrame(rows, columns=list(NAMESPACE_COLUMNS))


def replayed(points: Iterable[ReplayPoint]) -> pd.DataFrame:
    """Outcomes of recorded lookups, the strictest threshold first."""
    return pd.DataFrame(
        [
            {
                "threshold": point.threshold,
                "hits": point.hits,
                "rate": point.hit_rate,
                "labelled": point.labelled,
                "errors": point.errors,
                "bound": point.bound if point.labelled else None,
                "saved_usd": point.saved_usd,
            }
            for point in points
        ],
        columns=list(REPLAY_COLUMNS),
    )


def wrong(found: Iterable[WrongHit]) -> pd.DataFrame:
    """Pairs that would be served wrongly."""
    return pd.DataFrame(
        [
            {
                "question": None if one.pair.question is None else one_line(one.pair.question, 300),
                "stored": None if one.pair.stored is None else one_line(one.pair.stored, 300),
                "similarity": one.pair.similarity,
                "lookups": one.lookups,
            }
            for one in found
        ],
        columns=list(WRONG_COLUMNS),
    )
