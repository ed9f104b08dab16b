"""All that the console reads from its servers, one function a read, shared by the sessions that ask for the same.

A read returns a `Reading`: its value, when it was read, and the error if it could not be read again. A function that
returns a plain value is derived from a read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from core import entries
from core.access import AuditRecord
from core.cache import Bypassed
from core.entries import (
    PAGE_SIZE,
    EntryPage,
    FoundEntry,
    Place,
    count_listed,
    find_entry,
    page_entries,
    received_answers,
)
from core.entries import questions_at as stored_questions
from core.entries import tags as tagging
from core.errors import InvalidInput, NotPermitted, StoreUnavailable
from core.invalidation import ActivePage, Invalidation, InvalidationFilter, Schedule
from core.keys import EVERYWHERE, Slot
from core.metrics import (
    Comparison,
    Dimension,
    Frequent,
    Recipients,
    RequestFilter,
    RequestRecord,
    Savings,
    Summary,
)
from core.models import OutcomeKind
from core.monitoring import FRESH_SECONDS, Alert, Pool, WorkerPools
from core.namespaces import Naming
from core.stores import Refusal, StoreInfo
from pages.components.data import context
from pages.components.data.context import NO_QUEUE, queue_readings, readings
from pages.components.data.entry_filters import Filters
from pages.components.data.readings import shared
from pages.components.data.view import View
from workers.queue import JobView, QueueView, WorkerView, job_id

STEP_SECONDS = 9
"""The steps of charts are read at most this often, a little more often than they are drawn."""
SLOW_SECONDS = 300
BATCH_SECONDS = 0.25
"""Longest batch of a search through entries."""
MOST_FREQUENT = 15
MOST_REQUESTS = 500
MOST_JOBS = 200
MOST_INVALIDATIONS = 200
MOST_ACTIVE_SHOWN = 10
MOST_TRIED = 20
DAY_SECONDS = 86_400


# Figures of a window


@shared(readings)
def summary(view: View) -> Summary:
    """The figures of the window."""
    return _summary(view)


def once_a_step(view: View, *_: object) -> float:
    """How old figures may be that are drawn without a time line, in seconds."""
    return min(SLOW_SECONDS, view.window.step)


@shared(readings, max_age=once_a_step)
def slow_summary(view: View) -> Summary:
    """The figures of the window, for charts without a time line: read once a step."""
    return _summary(view)


def _summary(view: View) -> Summary:
    window = view.window
    return context.services().metrics.summary(
        window.seconds, step_seconds=window.step, ends_at=window.ends_at, namespace=view.namespace, model=view.model
    )


@shared(readings, max_age=10)
def last_day() -> Summary:
    """The figures of the last 24 hours, over all models and namespaces."""
    return context.services().metrics.summary(DAY_SECONDS)


@shared(readings, max_age=STEP_SECONDS)
def comparison(view: View) -> Comparison:
    """The figures of the window beside those of the window before it."""
    window = view.window
    return context.services().metrics.comparison(
        window.seconds, ends_at=window.ends_at, namespace=view.namespace, model=view.model
    )


def previous(view: View) -> Summary | None:
    """The figures of the window before; None where it had no requests."""
    compared = comparison(view).value
    return compared.previous if compared and compared.previous.requests else None


@shared(readings, max_age=once_a_step)
def summaries_by(view: View, by: Literal["model", "namespace"]) -> dict[str, Summary]:
    """The figures by model or namespace, the busiest first. In long windows they are read less often."""
    window = view.window
    return context.services().metrics.breakdown(
        window.seconds, by, step_seconds=window.step, ends_at=window.ends_at, namespace=view.namespace, model=view.model
    )


def breakdown(view: View, by: Literal["model", "namespace"]) -> dict[str, Summary]:
    """The figures by model or namespace, the busiest first; empty while they cannot be read."""
    return summaries_by(view, by).value or {}


@shared(readings, max_age=30)
def models_of_month() -> list[str]:
    """Models that had a request in the last thirty days, the busiest first."""
    return list(context.services().metrics.breakdown(30 * DAY_SECONDS, "model"))


def known_models() -> list[str]:
    """Models that had a request in the last thirty days; empty while they cannot be read."""
    return models_of_month().value or []


@shared(readings, max_age=STEP_SECONDS)
def savings(by: tuple[Dimension, ...], namespace: str | None, model: str | None) -> tuple[Savings, Naming]:
    """What was saved and spent in each kept month, and what its namespaces are called."""
    built = context.services()
    found = built.metrics.savings(by, namespace=namespace, model=model)
    named = {line.namespace for month in found.months for line in month.lines if line.namespace}
    return found, Naming(built.labels.all(), named)


# Requests


@shared(readings)
def requests(where: RequestFilter, seconds: float) -> list[tuple[RequestRecord, str | None]]:
    """The latest requests that match, of the last `seconds` unless the filter names a moment itself.

    Each with the answer it got; None where it got none from the cache, or one that no longer stands there.
    """
    built = context.services()
    starts_at = context.now() - seconds if where.starts_at is None else where.starts_at
    found = built.metrics.recent(MOST_REQUESTS, msgspec.structs.replace(where, starts_at=starts_at))
    try:
        answers = received_answers(built.store, found)
    except NotPermitted:  # the requests themselves may be read
        answers = [None] * len(found)
    return list(zip(found, answers, strict=True))


@shared(readings)
def recipients(namespace: str, key: str) -> Recipients:
    """Who got the answer at a key, among the latest requests."""
    built = context.services()
    return entries.recipients(built.store, built.metrics, namespace, key)


@shared(readings)
def latest_request() -> RequestRecord | None:
    """The latest request of all; None where there was none."""
    return next(iter(context.services().metrics.recent(1)), None)


@shared(readings, max_age=10)
def frequent(kind: OutcomeKind, namespace: str | None, model: str | None) -> list[Frequent]:
    """What has an outcome most often among the latest requests."""
    where = RequestFilter(namespace=namespace, model=model)
    return context.services().metrics.top(kind, MOST_FREQUENT, where)


# Entries


@shared(readings, max_age=5)
def entry_count(namespace: str | None, model: str | None) -> int:
    """Number of stored entries, by the index."""
    return context.services().health.count_entries(namespace, model)


@shared(readings)
def entry_page(chosen: Filters, place: Place | None, size: int = PAGE_SIZE) -> tuple[EntryPage, int]:
    """The first `size` entries after a place, as far as a batch of a search finds them; and how many the index lists.

    A batch is short: other sessions wait for the processor meanwhile.
    """
    built = context.services()
    slots = [Slot(chosen.namespace, bucket) for bucket in range(built.settings.buckets)]
    where = chosen.where(context.now())
    page = page_entries(
        built.store,
        slots,
        where,
        hits=built.metrics.hits,
        pins=built.pins,
        after=place,
        size=size,
        seconds=BATCH_SECONDS,
    )
    return page, count_listed(built.store, slots, where)


@shared(readings)
def entry(namespace: str, key: str) -> FoundEntry | None:
    """The entry at a key, with its hits and its pin; None where there is none."""
    built = context.services()
    return find_entry(built.store, namespace, key, hits=built.metrics.hits, pins=built.pins)


@shared(readings, max_age=30)
def tags(namespace: str) -> tagging.KnownTags:
    """The tags of a namespace's entries. Takes up to two seconds: ask where somebody wants them."""
    built = context.services()
    of = built.store.namespaces() if namespace == EVERYWHERE else [namespace]
    return tagging.known_tags(
        built.store, [Slot(one, bucket) for one in of for bucket in range(built.settings.buckets)]
    )


def tags_to_choose(namespace: str) -> dict[str, int]:
    """Tags to suggest, with how many entries have each, most first; empty while they cannot be read."""
    try:
        found = tags(namespace).value
    except InvalidInput:  # no namespace has such a name
        return {}
    return {one.tag: one.entries for one in found.tags} if found else {}


@shared(readings, max_age=5)
def models_in_store() -> list[str]:
    """Models that have entries, in any namespace, sorted."""
    built = context.services()
    slots = [Slot(name, bucket) for name in built.store.namespaces() for bucket in range(built.settings.buckets)]
    return sorted({model for slot in slots for model in built.store.models(slot)})


def stored_models() -> list[str]:
    """Models that have entries; empty while they cannot be read."""
    return models_in_store().value or []


@shared(readings, max_age=5)
def namespaces_in_store() -> list[str]:
    """Namespaces that have entries or a record."""
    return context.services().store.namespaces()


def namespaces() -> list[str]:
    """Namespaces to choose from, the configured one first."""
    first = context.services().settings.namespace
    return [first, *(name for name in namespaces_in_store().value or () if name != first)]


def namespace_in_use() -> str:
    """The namespace to begin with, where nobody chose one and the page has no view of all of them.

    The configured one while it has requests of the last month and entries, else the busiest one that has entries.
    """
    return useful_namespace().value or context.services().settings.namespace


@shared(readings, max_age=30)
def useful_namespace() -> str:
    """What `namespace_in_use` says; without requests the one with most entries, without those the busiest."""
    built = context.services()
    configured, busiest = built.settings.namespace, list(built.metrics.breakdown(30 * DAY_SECONDS, "namespace"))
    first = [configured, *busiest] if configured in busiest or not busiest else [*busiest, configured]
    if found := next((name for name in first[:MOST_TRIED] if built.health.count_entries(name)), None):
        return found
    others = {name: built.health.count_entries(name) for name in built.store.namespaces()[:MOST_TRIED]}
    return max(others, key=others.__getitem__) if any(others.values()) else first[0]


@shared(readings, max_age=5)
def known_naming() -> Naming:
    """What namespaces are called, with those that are in the store."""
    return Naming(context.services().labels.all(), namespaces())


def naming(more: Iterable[str] = ()) -> Naming:
    """What namespaces are called; `more` are further ones that are to be told from each other, such as a table's."""
    return (known_naming().value or Naming(context.services().labels.configured, namespaces())).knowing(more)


# Invalidations and schedules


@shared(readings, max_age=1)
def invalidations(limit: int, by_programs: bool | None = None) -> list[Invalidation]:
    """The latest `limit` invalidations, the newest first: of programs, of people, or of both."""
    return context.services().invalidation.history(limit=limit, machines=by_programs)


@shared(readings, max_age=10)
def questions_at(places: tuple[tuple[str, str], ...]) -> Mapping[tuple[str, str], str]:
    """The questions at these places, each a namespace and a key, as far as something stands there."""
    return stored_questions(context.services().store, places)


def asked(found: Iterable[Invalidation]) -> Mapping[str, str]:
    """The questions of those of these invalidations that are of one key, by their ids."""
    by_key = {one.id: (one.namespace, one.criteria.key) for one in found if one.criteria.key is not None}
    questions = questions_at(tuple(sorted(set(by_key.values())))).value if by_key else None
    return {name: questions[place] for name, place in by_key.items() if questions and place in questions}


def _search_seconds(find: str, cursor: str | None) -> float:
    """A search looks at all that are in force, a second's work for a hundred thousand: it is asked less often."""
    return 30.0 if find else 1.0


@shared(readings, max_age=_search_seconds)
def active_page(find: str, cursor: str | None) -> ActivePage:
    """A page of the invalidations in force that have a text in their criteria or id."""
    wanted = InvalidationFilter(text=find).matches if find else None
    return context.services().invalidation.active_page(MOST_ACTIVE_SHOWN, cursor=cursor, where=wanted)


@shared(readings, max_age=1)
def active_count() -> int:
    """How many invalidations are in force in all namespaces."""
    return sum(count.active for count in context.services().invalidation.counts().values())


@shared(readings)
def invalidation(invalidation_id: str) -> Invalidation | None:
    """One invalidation; None where there is none with this id."""
    return context.services().invalidation.find(invalidation_id)


@shared(readings)
def audit_trail(invalidation_id: str) -> list[AuditRecord]:
    """The latest audit records of an invalidation, the newest first."""
    return context.services().invalidation.trail_of(invalidation_id)


@shared(readings, max_age=1)
def schedules() -> list[Schedule]:
    """All schedules, the next one first; empty without Redis."""
    kept = context.services().schedules
    return kept.all() if kept is not None else []


# The store, the queue and who works


@shared(readings, max_age=4)
def store_info() -> StoreInfo:
    """What the store says of itself."""
    return context.services().store.info()


@shared(readings, max_age=4)
def bypassed() -> list[Bypassed]:
    """The namespaces whose requests bypass the cache."""
    built = context.services()
    return built.switch.all(built.store.namespaces())


@shared(readings, max_age=FRESH_SECONDS)
def alerts() -> list[Alert]:
    """The alerts that fire now."""
    built = context.services()
    try:
        recent = built.metrics.summary(built.alert_board.rules.window_seconds)
    except NotPermitted:  # there are alerts that need no figures, one of them says so
        recent = None
    return built.alert_board.look(recent, built.health.check())


@shared(queue_readings, max_age=4)
def queue_refusal() -> Refusal | None:
    """Why the job queue's Redis takes no writes; None when it does."""
    return context.services().health.queue_refusal()


@shared(queue_readings)
def pools() -> list[Pool]:
    """The pools of workers with a recent heartbeat."""
    return _pools()


@shared(queue_readings)
def alive_workers() -> int:
    """Number of workers in the pools with a recent heartbeat; alerts and Prometheus count the same way."""
    return sum(pool.workers for pool in _pools())


def failing_pools() -> list[Pool]:
    """The pools whose workers keep ending as soon as they start."""
    return [pool for pool in pools().value or [] if pool.failing]


def _pools() -> list[Pool]:
    client = context.services().queue_redis
    if client is None:
        raise StoreUnavailable(NO_QUEUE)
    return WorkerPools(client, clock=context.services().clock).alive()


@shared(queue_readings)
def queue() -> QueueView:
    """The queue in numbers."""
    return context.queue().queue_view()


@shared(queue_readings)
def workers() -> list[WorkerView]:
    """Worker processes, the ones that may be lost included."""
    return context.queue().workers()


@shared(queue_readings, max_age=1)
def jobs() -> list[JobView]:
    """The latest jobs, the newest first."""
    return context.queue().jobs(limit=MOST_JOBS)


@shared(queue_readings, max_age=0.4)
def job(identifier: str) -> JobView | None:
    """A job as it is now; None where it has no record."""
    return context.queue().job(identifier)


@shared(queue_readings)
def replay() -> JobView | None:
    """The replay of sample questions in the configured namespace; None where there is none."""
    return context.queue().job(job_id("replay", context.services().settings.namespace))
