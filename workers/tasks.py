"""What the workers do: each task parses plain JSON arguments, calls one function in `core` and reports progress."""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from core.bootstrap import Services, bootstrap
from core.cache import refresh as refresh_answer
from core.demo import popular, replay_questions, sample
from core.errors import InvalidInput, ProviderUnavailable
from core.invalidation import SweepProgress
from core.keys import NAMESPACE_PATTERN, READABLE_KEY_PATTERN, Slot
from core.semantic.quality import judge_samples
from core.semantic.questions import Stopped
from core.settings import Settings
from workers.queue import Interrupted, current_task

DEMO_MODEL = "encore-demo-small"

inherited: ContextVar[Services | None] = ContextVar("services", default=None)
"""The parts of the pool that this process was forked from: to build them for each job takes as long as a fork."""

Namespace = Annotated[str, msgspec.Meta(pattern=rf"^{NAMESPACE_PATTERN}\Z")]
Arguments = TypeVar("Arguments", bound=msgspec.Struct)


class SweepArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `sweep`: the namespace. Criteria are read from the invalidation record, never from the job."""

    version: Literal[1]
    namespace: Namespace


class ReplayArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `replay`: the sample, its duration in seconds, requests a second."""

    version: Literal[1]
    namespace: Namespace
    sample: str
    seconds: Annotated[float, msgspec.Meta(ge=1, le=3000)]
    rate: Annotated[float, msgspec.Meta(gt=0, le=1000)]


class PruneArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `prune`."""

    version: Literal[1]


class RefreshArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `refresh`: the readable key of the answer."""

    version: Literal[1]
    key: Annotated[str, msgspec.Meta(pattern=rf"^{READABLE_KEY_PATTERN.pattern}\Z")]


class JudgeArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `judge`."""

    version: Literal[1]


class GroupArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `group`."""

    version: Literal[1]


class RebuildArguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of `rebuild`."""

    version: Literal[1]


def sweep(**arguments: object) -> dict[str, Any]:
    """Deletes what a namespace's due invalidations hide. May die anywhere and run again."""
    given = _parse(SweepArguments, arguments)
    task = current_task()
    with _services() as services:
        progress = services.invalidation.sweep(
            given.namespace,
            on_batch=lambda so_far: task.report(_as_report(so_far)),
            should_stop=task.should_stop,
        )
    task.report(_as_report(progress))
    if not progress.finished:
        raise Interrupted("the worker is ending")
    return _as_report(progress)


def replay(**arguments: object) -> dict[str, Any]:
    """Sends a sample's questions through the cache, so that a new installation has something to show."""
    given = _parse(ReplayArguments, arguments)
    task = current_task()
    progress = None
    with _services() as services:
        for progress in replay_questions(
            services.cache,
            popular(sample(given.sample)),
            model=_model(services),
            namespace=given.namespace,
            rate=given.rate,
            seconds=given.seconds,
            should_stop=task.should_stop,
        ):
            report = progress.to_dict()
            task.report(report | {"done": min(progress.elapsed_seconds, given.seconds), "total": given.seconds})
    if progress is None or progress.gave_up:
        raise ProviderUnavailable(
            f"the provider answered with errors only ({progress.problem if progress else 'none'})"
        )
    return progress.to_dict()


def prune(**arguments: object) -> dict[str, Any]:
    """Drops index rows and hit counts of expired entries, which Redis deletes without updating these."""
    _parse(PruneArguments, arguments)
    task = current_task()
    dropped = 0
    with _services() as services:
        namespaces = services.store.namespaces()
        for number, namespace in enumerate(namespaces):
            for bucket in range(services.settings.buckets):
                slot = Slot(namespace, bucket)
                dropped += services.store.prune_index(slot)
                services.metrics.hits.prune(slot)
            task.report({"done": number + 1, "total": len(namespaces), "dropped": dropped})
            if task.should_stop():
                raise Interrupted("the worker is ending")
    return {"namespaces": len(namespaces), "dropped": dropped}


def refresh(**arguments: object) -> dict[str, Any]:
    """Generates a stale answer anew. The request waits in Redis; the job knows its key only."""
    given = _parse(RefreshArguments, arguments)
    with _services() as services:
        if services.refreshes is None:
            raise InvalidInput("arguments", "there is no Redis to refresh from")
        return {"outcome": refresh_answer(services.cache, services.refreshes, given.key)}


def judge(**arguments: object) -> dict[str, Any]:
    """Has the judge label hits that were served unjudged. They wait in Redis; the job does not name them."""
    _parse(JudgeArguments, arguments)
    task = current_task()
    with _services() as services:
        if services.judge is None:
            raise InvalidInput("arguments", "there is no judge: set ENCORE_JUDGE_MODEL")
        progress = judge_samples(
            services.evidence,
            services.judge,
            services.store,
            on_sample=lambda so_far: task.report(msgspec.to_builtins(so_far)),
            should_stop=task.should_stop,
            count=services.metrics.count,
        )
    plain: dict[str, Any] = msgspec.to_builtins(progress)
    return plain


def group(**arguments: object) -> dict[str, Any]:
    """Groups the questions of the request log. They are read there; the job has none of them, before or after."""
    _parse(GroupArguments, arguments)
    task = current_task()
    with _services() as services:
        try:
            progress = services.questions.group(
                on_batch=lambda so_far: task.report(msgspec.to_builtins(so_far)), should_stop=task.should_stop
            )
        except Stopped:
            raise Interrupted("the worker is ending") from None
    plain: dict[str, Any] = msgspec.to_builtins(progress)
    return plain


def rebuild(**arguments: object) -> dict[str, Any]:
    """Rebuilds the index of near questions for the embedder in use. May die anywhere and run again."""
    _parse(RebuildArguments, arguments)
    task = current_task()
    with _services() as services:
        progress = services.near_index.rebuild(
            on_batch=lambda so_far: task.report(msgspec.to_builtins(so_far)), should_stop=task.should_stop
        )
    if not progress.finished:
        raise Interrupted("the worker is ending")
    plain: dict[str, Any] = msgspec.to_builtins(progress)
    return plain


def warm_up() -> None:
    """Builds the decoders of the arguments, which each work horse would otherwise build itself."""
    plain = (PruneArguments, JudgeArguments, GroupArguments, RebuildArguments)
    for kind in (SweepArguments, ReplayArguments, RefreshArguments, *plain):
        with suppress(msgspec.ValidationError):
            msgspec.convert({}, kind)


def _parse(kind: type[Arguments], arguments: dict[str, object]) -> Arguments:
    try:
        return msgspec.convert(arguments, kind)
    except msgspec.ValidationError as error:
        raise InvalidInput("arguments", str(error)) from None


def _services() -> Services:
    """Those of the pool, which open connections of their own in each process, else new ones."""
    return inherited.get() or bootstrap(Settings())


def _as_report(progress: SweepProgress) -> dict[str, Any]:
    """The progress for the job's record: how many invalidations it serves, since that may be a hundred thousand."""
    plain: dict[str, Any] = msgspec.to_builtins(progress)
    return plain | {"done": progress.scanned, "invalidations": len(progress.invalidations)}


def _model(services: Services) -> str:
    """The configured model, else one that the provider has."""
    if services.settings.default_model:
        return services.settings.default_model
    if services.settings.uses_demo_model:
        return DEMO_MODEL
    return services.provider.models()[0]
