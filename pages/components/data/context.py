"""What every page stands on: the services, built once, the shared readings, and who is looking."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import openai
import streamlit as st

from core.access import LOG_IN, Actor, AuditTrail, Role, actor_of, login_id
from core.bootstrap import Services, bootstrap, role_rules
from core.entries import Edits
from core.errors import InvalidSettings, ProviderUnavailable, StoreUnavailable
from core.keys import Slot
from core.monitoring import Pool, WorkerPools
from core.settings import Settings
from pages.components.data import context
from pages.components.data.readings import Reading, Readings
from pages.components.server import exposure
from workers.queue import JobQueue, JobView

READ_SECONDS = 1.0
"""Longest wait for Redis while a page is drawn: a person waits, and the last values are there."""


NO_QUEUE = "there is no Redis, so there are no jobs and no workers"


@st.cache_resource(show_spinner=False, on_release=lambda services: services.close())
def services() -> Services:
    """All parts of the cache, shared by all sessions. Raises InvalidSettings, which `frame` shows."""
    return bootstrap(Settings(), operator_timeout_seconds=READ_SECONDS)


@st.cache_resource(show_spinner=False)
def readings() -> Readings:
    """What was last read from the cache's Redis."""
    return Readings(probe=services().store.ping)


@st.cache_resource(show_spinner=False)
def queue_readings() -> Readings:
    """What was last read from the job queue's Redis, which may be another one."""
    return Readings(probe=lambda: queue().ping())


@st.cache_resource(show_spinner=False)
def _queue() -> JobQueue | None:
    built = services()
    return JobQueue(built.queue_redis, built.audit) if built.queue_redis is not None else None


def queue() -> JobQueue:
    """The job queue. Raises StoreUnavailable when there is no Redis to have one on."""
    built = _queue()
    if built is None:
        raise StoreUnavailable(NO_QUEUE)
    return built


def alive_workers() -> Reading[int]:
    """How many workers the pools that were heard of lately have: what alerts and Prometheus go by too."""
    return queue_readings().get("alive", lambda: sum(pool.workers for pool in pools()))


def pools() -> list[Pool]:
    """The pools that were heard of lately. Raises StoreUnavailable."""
    client = services().queue_redis
    if client is None:
        raise StoreUnavailable(NO_QUEUE)
    return WorkerPools(client).alive()


def job(job_id: str, max_age: float = 0.4) -> Reading[JobView | None]:
    """A job as it is now, or was `max_age` seconds ago."""
    return queue_readings().get(("job", job_id), lambda: queue().job(job_id), max_age=max_age)


def stored_models() -> list[str]:
    """Models that have entries, in any namespace."""
    built = services()

    def read() -> list[str]:
        slots = [Slot(name, bucket) for name in built.store.namespaces() for bucket in range(built.settings.buckets)]
        return sorted({model for slot in slots for model in built.store.models(slot)})

    return readings().get("stored-models", read, max_age=5).value or []


def count_entries(namespace: str | None, model: str | None) -> int:
    """Stored entries, by the index."""
    return services().health.count_entries(namespace, model)


def claims() -> dict[str, Any]:
    """What the login of this session says of who it is; empty without one."""
    told: dict[str, Any] = dict(st.user.to_dict())
    return told if told.get("is_logged_in") is True else {}


def actor() -> Actor:
    """Who is looking at this page: an admin on this machine where there is no login, else whom the login says.

    Asked anew for each action, so that a login that has ended does nothing more.
    """
    if not exposure.has_login():
        return Actor(name="console", role=Role.ADMIN, local=True)
    told = claims()
    if not told:
        return Actor(name="nobody", role=Role.NONE, refusal=LOG_IN)
    try:
        built = services()
    except InvalidSettings:
        return Actor(name="nobody", role=Role.NONE, refusal="The settings cannot be used; the console's log says why")
    who = actor_of(told, role_rules(built.settings), now=time.time())
    if who.role and has_ended(told):
        return Actor(name=who.name, role=Role.NONE, refusal="You have logged out: log in again")
    return who


def trail() -> AuditTrail:
    """What they do on this page, on record as done from the console."""
    return context.services().audit.by(context.actor(), source="console")


def has_ended(told: Mapping[str, Any]) -> bool:
    """Whether somebody logged out of this login, in any window and any process. A second old at most."""
    name = login_id(told)
    known: Reading[bool] = readings().get(("ended", name), lambda: services().logins.is_ended(name), max_age=1)
    return bool(known.value) or services().logins.is_ended_here(name)


def namespaces() -> list[str]:
    """Namespaces to choose from, the configured one first."""
    built = services()
    known: Reading[list[str]] = readings().get("namespaces", built.store.namespaces, max_age=5)
    first = built.settings.namespace
    return [first, *(name for name in known.value or () if name != first)]


@st.cache_data(ttl=600, show_spinner=False)
def offered_models() -> list[str]:
    """Models to choose from, the configured one first; asks the provider, at most every ten minutes."""
    built = services()
    try:
        offered = built.provider.models()
    except (openai.OpenAIError, ProviderUnavailable):
        offered = []
    first = built.settings.default_model
    names = [first] if first else []
    return names + [name for name in offered if name != first]


def settings_problems() -> str:
    """Why the services cannot be built; empty when they can."""
    try:
        services()
    except InvalidSettings as error:
        return str(error)
    return ""


def edits() -> Edits:
    """Edits in the name of whoever is looking."""
    built = context.services()
    return Edits(built.cache, built.store, context.trail(), pins=built.pins)
