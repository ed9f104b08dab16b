"""What the console reads about near matches and about groups of questions, shared as in `queries`."""

from __future__ import annotations

from core.errors import EmbedderError
from core.metrics import Hedging
from core.semantic import NearIndexState
from core.semantic.quality import EvidenceReport, Pair, Published, ReplayPoint, Threshold, WrongHit
from core.semantic.questions import QuestionReport
from pages.components.data import context
from pages.components.data.context import readings
from pages.components.data.readings import shared
from pages.components.data.view import EVIDENCE_WINDOWS, EvidenceView, evidence_since

EVIDENCE_SECONDS = 30
"""Evidence is read at most this often: summing up 50,000 labels takes seconds."""
MOST_PAIRS = 1000
DAY_SECONDS = 86_400


@shared(readings)
def threshold_state(namespace: str) -> tuple[Threshold, list[Published]]:
    """The threshold in force and all its versions."""
    thresholds = context.services().thresholds
    return thresholds.current(namespace), thresholds.versions(namespace)


@shared(readings, max_age=5)
def namespaces_with_threshold() -> list[str]:
    """Namespaces that a threshold was published for."""
    return context.services().thresholds.namespaces()


@shared(readings, max_age=5)
def pairs(namespace: str) -> list[Pair]:
    """The latest near matches of a namespace, at most a thousand."""
    return context.services().evidence.pairs(namespace, limit=MOST_PAIRS)


@shared(readings, max_age=EVIDENCE_SECONDS - 1)
def evidence(view: EvidenceView) -> EvidenceReport:
    """What the evidence of a namespace says."""
    return context.services().evidence.report(view.namespace, since=evidence_since(view.window, context.now()))


@shared(readings, max_age=EVIDENCE_SECONDS - 1)
def evidence_of_all(window: str) -> list[EvidenceReport]:
    """What the evidence of each namespace says."""
    return context.services().evidence.reports(since=evidence_since(window, context.now()))


@shared(readings, max_age=EVIDENCE_SECONDS - 1)
def replay_at_thresholds(view: EvidenceView) -> list[ReplayPoint]:
    """The recorded lookups of a namespace, replayed at all thresholds."""
    return context.services().evidence.replay(view.namespace, since=evidence_since(view.window, context.now()))


@shared(readings, max_age=EVIDENCE_SECONDS - 1)
def wrong_hits(view: EvidenceView, threshold: float) -> list[WrongHit]:
    """The pairs labelled wrong that recorded lookups would have served from a threshold on."""
    since = evidence_since(view.window, context.now())
    return context.services().evidence.wrong_hits(view.namespace, threshold, since=since)


@shared(readings, max_age=EVIDENCE_SECONDS - 1)
def hedging(window: str) -> Hedging:
    """What was dropped for a judge's yes, over all namespaces; at most the last thirty days."""
    return context.services().metrics.summary(EVIDENCE_WINDOWS[window][1] or 30 * DAY_SECONDS).hedging


@shared(readings, max_age=EVIDENCE_SECONDS - 1)
def questions(namespace: str | None, model: str | None, grouped_at: float | None) -> QuestionReport:
    """What people ask, in groups. `grouped_at` is when the latest grouping ended: it is read anew after each."""
    return context.services().questions.report(namespace=namespace, model=model)


@shared(readings, max_age=5)
def near_index(rebuilt_at: float | None) -> NearIndexState | None:
    """What the index has of other embedders; None without an embedder, which is said elsewhere.

    `rebuilt_at` is when the latest rebuild ended: it is read anew then.
    """
    try:
        return context.services().near_index.state()
    except EmbedderError:
        return None


@shared(readings)
def is_grouping_asked() -> bool:
    """Whether a grouping waits for a worker."""
    return context.services().questions.is_asked()
