"""Thresholds per namespace: what is configured, what was published since, and every version of it.

A publication is an act: it has an actor, a number, an audit record, and can be rolled back. Beside it is the bound of
its hits, which says whether they are served unjudged yet. Requests read a copy of both that is at most a second old,
and only when they look for near questions.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
import redis

from ...access import Acting, Action, AuditLog, AuditTrail
from ...errors import InvalidInput, ThresholdRefused
from ...keys import NAMESPACE_PATTERN, names
from ...models import SemanticMode
from ...stores.redis import RecentReads, SharedHash, shared_hash
from .bound import Bound
from .threshold import Threshold

KEPT_VERSIONS = 100


class ThresholdAction(StrEnum):
    """The act that made a version."""

    PUBLISHED = "published"
    ROLLED_BACK = "rolled-back"
    TIGHTENED = "tightened"
    GREY_SET = "grey-set"


BY_ITSELF = frozenset({ThresholdAction.TIGHTENED, ThresholdAction.GREY_SET})
"""Acts of nobody: evidence called for them."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """One version. `threshold` None: as configured. `note` says why, in words that quote no prompt."""

    version: int
    at: float
    actor: str
    act: ThresholdAction
    threshold: Threshold | None = None
    note: str = ""


class _Overtaken(Exception):
    """Another version came first."""


_decode = msgspec.json.Decoder(list[Published]).decode
_decode_bound = msgspec.json.Decoder(Bound).decode

_BOUND, _READ = ":bound:", ":read"
"""Fields beside those of namespaces, whose names begin with no colon: one read brings a threshold and its bound."""


class Thresholds:
    """The thresholds of all namespaces: of all processes with a client, of this one without.

    `configured` is in force where nothing was published, `conversations` for the conversations of a namespace.
    `embedder` is the one in use: what was published for another one serves nothing unjudged, since cosines of
    different embedders live elsewhere. `reader` is the client of the request path. The hash has no TTL: losing it would
    bring back what was configured.
    """

    def __init__(
        self,
        client: redis.Redis | None,
        audit: AuditLog,
        configured: Threshold,
        *,
        conversations: Threshold | None = None,
        embedder: str = "",
        reader: redis.Redis | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hash = shared_hash(client, names.THRESHOLDS)
        self._path_hash = shared_hash(reader, names.THRESHOLDS) if reader is not None else self._hash
        self.audit = audit
        self._configured = configured
        self._conversations = conversations or Threshold(mode=SemanticMode.OFF, serve=None)
        self._embedder = embedder
        self._clock = clock
        self._recent: RecentReads[tuple[Threshold, Bound]] = RecentReads(monotonic)

    def configured_for(self, namespace: str) -> Threshold:
        """What is in force until something is published for a namespace, or for the conversations of one."""
        return self._conversations if namespace.endswith(names.CONVERSATIONS) else self._configured

    def current(self, namespace: str) -> Threshold:
        """The threshold in force, at most COPY_SECONDS old. Raises StoreUnavailable."""
        return self.standing(namespace)[0]

    def standing(self, namespace: str) -> tuple[Threshold, Bound]:
        """The threshold in force and the bound of its hits, at most COPY_SECONDS old. Raises StoreUnavailable."""
        return self._recent.current(namespace, lambda: self._standing(self._path_hash, namespace))

    def standing_now(self, namespace: str) -> tuple[Threshold, Bound]:
        """The threshold in force and the bound of its hits, read now. Raises StoreUnavailable."""
        return self._standing(self._hash, namespace)

    def _standing(self, shared: SharedHash, namespace: str) -> tuple[Threshold, Bound]:
        value, bound = shared.get_many([namespace, f"{_BOUND}{namespace}"])
        threshold, since = self._in_force(namespace, value)
        return threshold, self._bound(threshold, since, bound)

    def _bound(self, threshold: Threshold, since: float, value: bytes) -> Bound:
        """The bound as stored; a new one where that is of an earlier publication or another embedder, or unreadable."""
        try:
            known = _decode_bound(value) if value else None
        except msgspec.MsgspecError:
            known = None
        of = threshold.publication, threshold.embedder
        if known is None or (known.publication, known.embedder) != of:
            return Bound(publication=threshold.publication, embedder=threshold.embedder, since=since)
        return known

    def change_bound(self, namespace: str, change: Callable[[Threshold, Bound], Bound]) -> tuple[Bound, Bound]:
        """Changes the bound of what is in force now, by compare-and-swap. The bound before and after.

        `change` may be called again when another process was first. Raises StoreUnavailable, WriteRefused.
        """
        field = f"{_BOUND}{namespace}"
        while True:
            value, stored = self._hash.get_many([namespace, field])
            threshold, since = self._in_force(namespace, value)
            before = self._bound(threshold, since, stored)
            after = change(threshold, before)
            if after == before or self._hash.swap(field, stored, msgspec.json.encode(after)):
                self._recent.forget(namespace)
                return before, after

    def labels_read(self) -> str:
        """The place in the journal of labels up to which all bounds count. Raises StoreUnavailable."""
        return self._hash.get(_READ).decode()

    def set_labels_read(self, before: str, after: str) -> None:
        """Notes that all bounds count up to a place. Does nothing when another process was first."""
        self._hash.swap(_READ, before.encode(), after.encode())

    def foreign(self, namespace: str) -> str:
        """As `foreign_among`, of the versions that are kept for a namespace. Raises StoreUnavailable."""
        try:
            return self.foreign_among(self.versions(namespace))
        except InvalidInput:  # what cannot be read serves nothing at all
            return ""

    def foreign_among(self, versions: Sequence[Published]) -> str:
        """Why the first of these, the latest, is not in force: its threshold is another embedder's. Else empty."""
        latest = versions[0].threshold if versions else None
        if latest is None or not self._is_foreign(latest):
            return ""
        return (
            f"The threshold was published for the embedder {latest.embedder}, and {self._embedder} is in use: its "
            "cosines live elsewhere. Nothing near is served without the judge until one is published for this embedder."
        )

    def versions(self, namespace: str) -> list[Published]:
        """All versions that are kept, the latest first. Raises StoreUnavailable."""
        return _versions(self._hash.get(namespace))[::-1]

    def namespaces(self) -> list[str]:
        """Namespaces that a threshold was ever published for. Raises StoreUnavailable."""
        return [field for field in self._hash.fields() if not field.startswith(":")]

    def publish(
        self,
        namespace: str,
        threshold: Threshold,
        *,
        actor: Acting,
        note: str = "",
        expected: int | None = None,
        evidence: Mapping[str, Any] | None = None,
    ) -> Published:
        """Puts a threshold in force. `evidence` are the figures of its labels, for the audit record.

        `expected` is the version that it is to follow: ThresholdRefused when another one is in force by then. Raises
        InvalidInput, AccessDenied.
        """
        trail = self.audit.by(actor)
        by = trail.require(Action.PUBLISH_THRESHOLD)
        _check(namespace, threshold)

        def next_version(versions: list[Published]) -> Published:
            check_expected(self._latest(namespace, versions), expected)
            return self._version(versions, ThresholdAction.PUBLISHED, threshold, by, note)

        return self._add(namespace, next_version, trail, evidence)

    def roll_back(self, namespace: str, version: int, *, actor: Acting) -> Published:
        """Puts an earlier version in force again, as a new one; 0 is what is configured. Raises InvalidInput."""
        trail = self.audit.by(actor)
        by = trail.require(Action.PUBLISH_THRESHOLD)
        _check_namespace(namespace)

        def next_version(versions: list[Published]) -> Published:
            earlier = next((known for known in versions if known.version == version), None)
            if earlier is None and version != 0:
                raise InvalidInput("version", f"{namespace} has no version {version}")
            if earlier is not None and earlier.threshold is not None and self._is_foreign(earlier.threshold):
                of, now = earlier.threshold.embedder, self._embedder
                raise InvalidInput("version", f"was published for the embedder {of}; cosines of {now} live elsewhere")
            threshold = earlier.threshold if earlier is not None else None
            return self._version(versions, ThresholdAction.ROLLED_BACK, threshold, by, f"version {version} again")

        return self._add(namespace, next_version, trail, {"restored": version})

    def set_grey(
        self, namespace: str, grey: float, *, seen: Threshold, note: str, evidence: Mapping[str, Any] | None = None
    ) -> Published | None:
        """Moves the cosine to judge from, by itself.

        Does nothing, and returns None, when another version than the one `seen` is in force by now, or when an operator
        has fixed it.
        """
        if seen.grey_fixed or grey == seen.grey:
            return None
        moved = msgspec.structs.replace(seen, grey=grey)
        _check(namespace, moved)
        return self._by_itself(namespace, ThresholdAction.GREY_SET, moved, seen, note, evidence)

    def _by_itself(
        self,
        namespace: str,
        act: ThresholdAction,
        threshold: Threshold,
        seen: Threshold,
        note: str,
        evidence: Mapping[str, Any] | None,
    ) -> Published | None:
        def next_version(versions: list[Published]) -> Published:
            if self._latest(namespace, versions) != seen:
                raise _Overtaken
            return self._version(versions, act, threshold, "encore", note)

        try:
            return self._add(namespace, next_version, self.audit.by("encore", source="worker"), evidence)
        except _Overtaken:
            return None

    def _version(
        self, versions: list[Published], act: ThresholdAction, threshold: Threshold | None, actor: str, note: str
    ) -> Published:
        number = versions[-1].version + 1 if versions else 1
        if threshold is not None:
            publication = threshold.publication if act is ThresholdAction.GREY_SET else number
            threshold = msgspec.structs.replace(
                threshold, version=number, publication=publication, embedder=self._embedder
            )
        return Published(version=number, at=self._clock(), actor=actor, act=act, threshold=threshold, note=note)

    def _add(
        self,
        namespace: str,
        next_version: Callable[[list[Published]], Published],
        trail: AuditTrail,
        evidence: Mapping[str, Any] | None,
    ) -> Published:
        """Appends what comes after the versions there are, by compare-and-swap; audited."""
        while True:
            before = self._hash.get(namespace)
            versions = _versions(before)
            added = next_version(versions)
            if self._hash.swap(namespace, before, msgspec.json.encode([*versions, added][-KEPT_VERSIONS:])):
                break
        self._recent.forget(namespace)
        trail.record(
            f"threshold.{added.act.value}",
            at=added.at,
            namespace=namespace,
            details={
                "version": added.version,
                "before": _plain(self._latest(namespace, versions)),
                "after": _plain(self._latest(namespace, [*versions, added])),
                "note": added.note,
                **(evidence or {}),
            },
        )
        return added

    def _latest(self, namespace: str, versions: list[Published]) -> Threshold:
        configured = self.configured_for(namespace)
        if not versions:
            return configured
        latest = versions[-1]
        if latest.threshold is not None and self._is_foreign(latest.threshold):
            return self._without_cosines(latest.threshold, configured)
        known = latest.threshold or msgspec.structs.replace(configured, version=latest.version)
        return known if known.publication else msgspec.structs.replace(known, publication=known.version)

    def _is_foreign(self, threshold: Threshold) -> bool:
        """Whether the cosines are those of another embedder."""
        return bool(threshold.embedder and self._embedder) and threshold.embedder != self._embedder

    def _without_cosines(self, published: Threshold, configured: Threshold) -> Threshold:
        """What another embedder's threshold is worth: its mode, as far as it goes without serving unjudged."""
        mode = SemanticMode.JUDGE if published.mode is SemanticMode.SERVE else published.mode
        return Threshold(
            mode=mode, grey=configured.grey, serve=None, version=published.version, embedder=self._embedder
        )

    def _in_force(self, namespace: str, value: bytes) -> tuple[Threshold, float]:
        """The threshold in force, and since when its cosine to serve from is."""
        try:
            versions = _decode(value) if value else []
        except msgspec.MsgspecError:
            # Another version's: whatever it says, serving on a guess is wrong.
            return Threshold(mode=SemanticMode.OFF), self._clock()
        threshold = self._latest(namespace, versions)
        since = next((known.at for known in versions if known.version == threshold.publication), self._clock())
        return threshold, since


def _versions(value: bytes) -> list[Published]:
    try:
        return _decode(value) if value else []
    except msgspec.MsgspecError:
        raise InvalidInput("thresholds", "were written by another version of this program") from None


def _plain(threshold: Threshold) -> dict[str, Any]:
    return {
        "mode": threshold.mode.value,
        "grey": threshold.grey,
        "grey_fixed": threshold.grey_fixed,
        "serve": threshold.serve,
        "unproved": threshold.unproved,
    }


def check_expected(in_force: Threshold, version: int | None) -> None:
    """Raises ThresholdRefused unless this version, or None for any, is in force."""
    if version is not None and in_force.version != version:
        raise ThresholdRefused("another threshold came into force meanwhile; look at it first")


def _check_namespace(namespace: str) -> None:
    if not re.fullmatch(NAMESPACE_PATTERN, names.namespace_in(namespace)):
        raise InvalidInput("namespace", "use 1 to 64 letters, digits, dots, dashes and underscores")


def _check(namespace: str, threshold: Threshold) -> None:
    _check_namespace(namespace)
    for name, cosine in (("grey", threshold.grey), ("serve", threshold.serve)):
        if cosine is not None and not 0 < cosine <= 1:
            raise InvalidInput(name, "give a cosine above 0, at most 1")
    if namespace.endswith(names.CONVERSATIONS) and (
        threshold.serve is not None or threshold.mode is SemanticMode.SERVE
    ):
        raise InvalidInput("serve", "what was asked in another conversation is only ever served when the judge agrees")
    if threshold.serve is None:
        if threshold.mode is SemanticMode.SERVE:
            raise InvalidInput("serve", "mode serve takes a cosine to serve from")
    elif threshold.grey > threshold.serve:
        raise InvalidInput("grey", "is above the cosine to serve from: then nothing would be judged")
