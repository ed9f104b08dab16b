"""Verdicts: an operator calls a stored answer wrong, or wrong for one question only. In force when they return."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..access import Acting, Action
from ..bans import Criteria
from ..cache import LLMCache
from ..errors import CacheError, InvalidInput
from ..invalidation import CacheInvalidator, Invalidation
from ..keys import Identity, names
from ..models import NO_CONTROLS, CacheEntry, ChatRequest, Controls
from ..semantic.conversations import conversation_of, stored_conversation
from ..semantic.quality import Evidence, pair_id
from ..stores import Store
from .explanation import differences_from_entry, explain
from .listing import FoundEntry, stored_entry

WRONG = "called wrong"
APART = "wrong for this question only"
"""Reasons of invalidations for which nobody gave one."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a verdict.

    `hidden` is the invalidation that it made, to be undone by its id; None when there was nothing to hide. `labelled`:
    the question and the stored one are labelled as different, and the answer is never served for the question again.
    `problem` says why they could not be labelled.
    """

    hidden: Invalidation | None = None
    labelled: bool = False
    problem: str = ""


class Verdicts:
    """Takes verdicts. `personal` says of a text whether the rules take it for somebody's own.

    All methods raise AccessDenied, StoreUnavailable, WriteRefused and OutcomeUnknown."""

    def __init__(
        self,
        cache: LLMCache,
        store: Store,
        invalidation: CacheInvalidator,
        evidence: Evidence,
        *,
        personal: Callable[[str], bool] = lambda text: True,
    ) -> None:
        self._personal = personal
        self._cache = cache
        self._store = store
        self._invalidation = invalidation
        self._evidence = evidence

    def wrong(
        self, namespace: str, key: str, *, actor: Acting, question: str | None = None, reason: str = ""
    ) -> Verdict:
        """Hides the answer at a readable key from every lookup, as `CacheInvalidator.invalidate` does.

        `question` is what it was served for when that was near the stored question: the two are labelled as different,
        and stay so when the answer is brought back. A label that fails is in the verdict, since the answer is hidden.
        `reason` is that of the invalidation. Raises NotFound when nothing is stored at the key.
        """
        trail = self._invalidation.audit.by(actor)
        trail.require(Action.INVALIDATE)
        if question is not None:
            trail.require(Action.LABEL)
        stored = self.stored(namespace, key)
        hidden = self._invalidation.invalidate(
            Criteria(namespace=namespace, key=key), actor=trail, reason=reason or WRONG
        )
        # Of a conversation the question alone says not enough to be labelled.
        if question is None or stored.entry.prompt == question or stored.entry.family:
            return Verdict(hidden=hidden)
        try:
            self._evidence.call_different(namespace, pair_id(namespace, question, stored.entry.prompt), actor=trail)
        except CacheError as error:
            return Verdict(hidden=hidden, problem=str(error))
        return Verdict(hidden=hidden, labelled=True)

    def apart(
        self, namespace: str, key: str, request: ChatRequest, controls: Controls = NO_CONTROLS, *, actor: Acting
    ) -> Verdict:
        """Labels a request's question and the one stored at a readable key as different; the answer stays.

        What leads from the request's own wording to the answer is hidden. Raises NotFound when nothing is stored at the
        key, and InvalidInput when its question is the request's own, when the requests differ in more than the
        question, so that the answer is never served for it, and for a request that has none or bypasses the cache.
        """
        trail = self._invalidation.audit.by(actor)
        trail.require(Action.INVALIDATE, Action.LABEL)
        stored = self.stored(namespace, key)
        controls = msgspec.structs.replace(controls, namespace=namespace)
        keyed = self._cache.identify(request, controls).keyed
        if keyed is None:
            raise InvalidInput("request", "bypasses the cache: it is served no stored answer")
        identity = keyed.identity
        if not identity.prompt.strip():
            raise InvalidInput("question", "give the question for which the answer is wrong")
        labelled = self._pair(identity, stored.entry)
        is_same = labelled[1] == labelled[2] if labelled is not None else identity.prompt == stored.entry.prompt
        if identity.key == stored.key or is_same:
            raise InvalidInput("key", "this answer was given to the question itself; call it wrong instead")
        if labelled is None:
            apart = differences_from_entry(explain(self._cache, request, controls), stored.entry)
            names = ", ".join(part.name for part in apart if not part.name.startswith("prompt"))
            raise InvalidInput("request", f"the stored answer is never served for it: they differ in {names}")
        self._evidence.call_different(labelled[0], pair_id(*labelled), actor=trail)
        hidden = self._invalidation.invalidate(
            Criteria(namespace=namespace, key=identity.key), actor=trail, reason=APART
        )
        return Verdict(hidden=hidden, labelled=True)

    def _pair(self, identity: Identity, entry: CacheEntry) -> tuple[str, str, str] | None:
        """Where the evidence on a question and a stored one stands, and both as it has them; None for another scope
        and another family, where one is never answered by the other."""
        if identity.scope == entry.header.scope:
            return identity.namespace, identity.prompt, entry.prompt
        own = conversation_of(identity, self._personal) if identity.converses else ""
        stored = stored_conversation(entry)
        if isinstance(own, str) or stored is None or not own.family.holds(entry.header.scope, entry.family):
            return None
        return names.conversations_in(identity.namespace), own.text, stored.text

    def stored(self, namespace: str, key: str) -> FoundEntry:
        """The entry at a readable key. Raises InvalidInput for what is no key, NotFound when nothing is stored."""
        return stored_entry(self._store, namespace, key)
