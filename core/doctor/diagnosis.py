"""The doctor: the settings in effect, what is reachable, and what is wrong, with the remedy of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from ..bootstrap import Services
from ..configuration import queue_url, redis_url
from ..errors import CacheError, NotPermitted
from ..text import masked
from .configuration import EffectiveSetting, effective_settings, setting_findings
from .findings import Finding, Level
from .forgone import forgone_findings
from .invalidations import invalidation_findings
from .provider import provider_findings
from .queue import queue_findings
from .redis import cache_findings
from .semantic import embedder_findings, semantic_findings, threshold_findings


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting in effect, and every finding, as of `at` (Unix seconds)."""

    settings: tuple[EffectiveSetting, ...]
    findings: tuple[Finding, ...]
    at: float

    @property
    def worst(self) -> Level:
        """The worst of the findings."""
        return max((finding.level for finding in self.findings), key=list(Level).index, default=Level.OK)

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as plain JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain | {"worst": self.worst.value}


def diagnose(services: Services, *, now: float | None = None, outside: Iterable[Finding] | None = None) -> Diagnosis:
    """Checks the whole installation. Takes seconds where something does not answer. Never raises a CacheError.

    `outside` are earlier results of `outside_findings`: with them the provider and the embedder are not asked again.
    """
    settings = services.settings
    at = services.clock() if now is None else now
    cache_url = redis_url(settings)
    findings = list(setting_findings())
    is_reached, found = _checked("redis", cache_url, lambda: cache_findings(services))
    findings += found
    if is_reached or settings.queue_redis_url is not None:
        findings += _checked("queue", queue_url(settings), lambda: queue_findings(services))[1]
    findings += outside_findings(services) if outside is None else outside
    findings += semantic_findings(settings)
    if is_reached:
        findings += _checked("redis", cache_url, lambda: invalidation_findings(services, at))[1]
        findings += _checked("redis", cache_url, lambda: threshold_findings(services))[1]
        findings += _checked("redis", cache_url, lambda: forgone_findings(services))[1]
    return Diagnosis(settings=tuple(effective_settings(settings)), findings=tuple(findings), at=at)


def outside_findings(services: Services) -> Iterator[Finding]:
    """Findings on the provider and the embedder. Costs a request to each, or the loading of a model."""
    yield from provider_findings(services)
    yield from embedder_findings(services)


def unusable(problems: Iterable[str]) -> tuple[Finding, ...]:
    """The findings when the settings cannot be used, one for each problem."""
    return tuple(Finding(area="settings", level=Level.ERROR, text=problem) for problem in problems)


def _checked(area: str, url: str | None, check: Callable[[], Iterable[Finding]]) -> tuple[bool, list[Finding]]:
    """The findings of a check of a server; the one finding that it cannot be reached otherwise.

    A check ends early where Redis' user may not look: what it lacks is among the findings on its rights.
    """
    found: list[Finding] = []
    try:
        found.extend(check())
        return True, found
    except NotPermitted:
        return True, found
    except CacheError as error:
        text = f"{masked(url or '')}: {error}."
        remedy = "Start it, or correct its address, password or certificate."
        return False, [Finding(area=area, level=Level.ERROR, text=text, remedy=remedy)]
