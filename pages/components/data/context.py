"""What every page uses: the services, built once, the shared readings, and the viewer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import openai
import streamlit as st

from core.access import LOG_IN, Actor, AuditTrail, Role, actor_of, login_id
from core.bootstrap import Services, bootstrap
from core.configuration import role_rules
from core.doctor import Checkup
from core.entries import Corrections, Edits
from core.errors import InvalidSettings, ProviderUnavailable, StoreUnavailable
from core.settings import Settings
from pages.components.data.readings import Readings, shared
from pages.components.server import server_checks
from workers.queue import JobQueue

READ_SECONDS = 1.0
"""Longest wait for Redis while a page is drawn: a person waits, and the last values are there."""

NO_QUEUE = "there is no Redis, so there are no jobs and no workers"


@st.cache_resource(show_spinner=False, on_release=lambda services: services.close())
def services() -> Services:
    """All services, shared by all sessions. Raises InvalidSettings, which `frame` shows."""
    return bootstrap(Settings(), operator_timeout_seconds=READ_SECONDS)


def now() -> float:
    """The time by the clock that stored times go by, in Unix seconds."""
    return services().clock()


@st.cache_resource(show_spinner=False)
def readings() -> Readings:
    """Shared readings of the cache's Redis."""
    return Readings(probe=services().store.ping)


@st.cache_resource(show_spinner=False)
def queue_readings() -> Readings:
    """Shared readings of the job queue's Redis, which may be another server."""
    return Readings(probe=lambda: queue().ping())


@st.cache_resource(show_spinner=False)
def checkup() -> Checkup:
    """The doctor's latest diagnosis."""
    return Checkup()


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


def claims() -> dict[str, Any]:
    """The claims of this session's login; empty without one."""
    found: dict[str, Any] = dict(st.user.to_dict())
    return found if found.get("is_logged_in") is True else {}


def actor() -> Actor:
    """The viewer of this page: an admin on this machine where there is no login, else the person of the login.

    Call it anew for each action, so that an ended login can do nothing more.
    """
    if not server_checks.has_login():
        return Actor(name="console", role=Role.ADMIN, local=True)
    login = claims()
    if not login:
        return Actor(name="nobody", role=Role.NONE, refusal=LOG_IN)
    try:
        built = services()
    except InvalidSettings:
        return Actor(name="nobody", role=Role.NONE, refusal="The settings cannot be used; the console's log says why")
    who = actor_of(login, role_rules(built.settings), now=time.time())
    if who.role and has_ended(login):
        return Actor(name=who.name, role=Role.NONE, refusal="You have logged out: log in again")
    return who


def trail() -> AuditTrail:
    """The audit trail of the viewer, with the console as its source."""
    return services().audit.by(actor(), source="console")


def has_ended(login: Mapping[str, Any]) -> bool:
    """Whether this login was ended, in any window and any process. At most a second old."""
    name = login_id(login)
    return bool(_is_ended(name).value) or services().logins.is_ended_here(name)


@shared(readings, max_age=1)
def _is_ended(name: str) -> bool:
    """Whether Redis knows that this login has ended."""
    return services().logins.is_ended(name)


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


def corrections() -> Corrections:
    """Corrections of answers in the name of the viewer."""
    built = services()
    return Corrections(built.cache, built.store, trail(), pins=built.pins)


def edits() -> Edits:
    """Edits of entries in the name of the viewer."""
    built = services()
    return Edits(built.cache, built.store, trail(), pins=built.pins)
