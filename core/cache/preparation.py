"""Everything about a request that needs no store: whether it may use the cache, its identity, its TTL.

Pure in the request, its controls and the configuration; hits repeat their requests, so it is remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

import msgspec

from .. import policy
from ..errors import InvalidInput
from ..keys import Identity, Slot, Unkeyable, identify, loose_digest, names, spaced
from ..models import NO_CONTROLS, CacheStrategy, ChatRequest, Controls
from ..policy import Audience, TTLPolicy
from .call import Call, Caution, Keyed, Prepared
from .config import CacheConfig

UNENCODABLE = "unencodable"
REMEMBERED = 4096
"""Requests, and buckets, that are remembered in the process."""
REMEMBERED_BYTES = 4000
"""The largest of them."""

_encode = msgspec.msgpack.Encoder().encode


class Preparation:
    """Prepares the requests of one cache. Raises InvalidInput for a namespace that is not a valid name.

    Requests that name no server go to `base_url`: another server's answer is another answer.
    """

    def __init__(self, config: CacheConfig, ttl_policy: TTLPolicy, base_url: str = "") -> None:
        self._config = config
        self._ttl_policy = ttl_policy
        self._base_url = base_url
        self._plain_prompts = frozenset(map(spaced, config.plain_prompts))
        self._slots: dict[tuple[str, int], Slot] = {}
        self._remembered: dict[object, Prepared] = {}

    def prepare(self, request: ChatRequest, controls: Controls) -> Prepared:
        """Bypass reason, namespace, strategy, identity and TTL of a request. About a microsecond for a repeated one."""
        try:
            form = _encode(request)
        except (TypeError, ValueError, RecursionError, OverflowError, NotImplementedError):
            return self._prepare(request, controls)
        # A header may be a secret: not kept in memory longer than its request.
        if len(form) > REMEMBERED_BYTES or request.headers or "extra_headers" in request.unkeyed:
            return self._prepare(request, controls)
        name = form if controls is NO_CONTROLS else (form, controls)
        prepared = self._remembered.get(name)
        if prepared is None:
            prepared = self._prepare(request, controls)
            if len(self._remembered) >= REMEMBERED:
                self._remembered = {}
            self._remembered[name] = prepared
        return prepared

    def _prepare(self, request: ChatRequest, controls: Controls) -> Prepared:
        config = self._config
        namespace = controls.namespace or config.namespace
        strategy = policy.effective_strategy(request, controls, config.strategy)
        try:
            keyed = policy.bypass_reason(request, controls, config.limits) or self._key(
                request, controls, namespace, strategy
            )
        except InvalidInput:
            raise
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            keyed = UNENCODABLE  # arguments of another shape than the API's: they are the provider's to refuse
        if isinstance(keyed, str):
            return Prepared(namespace=namespace, strategy=strategy, keyed=None, reason=keyed)
        return Prepared(namespace=namespace, strategy=strategy, keyed=keyed)

    def _key(self, request: ChatRequest, controls: Controls, namespace: str, strategy: CacheStrategy) -> Keyed | str:
        share = policy.share(request, controls, self._ttl_policy, self._audience(namespace))
        if share.bypass:
            return share.bypass
        try:
            identity = self._identity(request, namespace, share.user, asker=self._asker(request, controls))
        except Unkeyable as error:
            return error.reason
        is_material = identity.may_be_material and strategy is not CacheStrategy.EXACT
        cautions = (*((Caution.MATERIAL,) if is_material else ()), *((Caution.OWN,) if share.own else ()))
        slot = self.slot(namespace, identity.bucket)
        return Keyed(identity, slot, share.ttl, cautions=cautions, user=share.user, own=share.own)

    def _audience(self, namespace: str) -> Audience:
        """For whom the answers of a namespace are; of a part that a caller names, as of the whole."""
        config = self._config
        return Audience(config.audiences.get(namespace.partition(names.PART_SEPARATOR)[0], config.audience))

    def _asker(self, request: ChatRequest, controls: Controls) -> Any:
        """Who asks, where that may count for a conversation."""
        return policy.user_of(request, controls) if self._config.conversations else None

    def _identity(self, request: ChatRequest, namespace: str, user: Any, *, asker: Any = None) -> Identity:
        """The identity for a user, for everybody without one. Raises Unkeyable."""
        config = self._config
        if not request.base_url:
            request = msgspec.structs.replace(request, base_url=self._base_url)
        return identify(
            request,
            namespace,
            user=user,
            buckets=config.buckets,
            strip_stop_words=config.strip_stop_words,
            plain_prompts=self._plain_prompts,
            max_bytes=config.limits.max_request_bytes,
            converses=config.conversations,
            asker=asker,
        )

    def wider_forms(self, call: Call) -> Iterator[tuple[Caution, bytes]]:
        """By caution, the digest under which the answer would be shared without it. For misses: a hit needs none."""
        identity = call.identity
        for caution in call.cautions:
            match caution:
                case Caution.MATERIAL:
                    form = loose_digest(identity.scope, identity.prompt, strip_stop_words=self._config.strip_stop_words)
                case Caution.OWN:
                    shared = self._identity(call.request, call.namespace, None)
                    form = shared.normalized or shared.exact
                case _:
                    assert_never(caution)
            if form is not None:
                yield caution, form

    def slot(self, namespace: str, bucket: int) -> Slot:
        """The key names of a bucket. Raises InvalidInput for a namespace that is not a valid name."""
        slot = self._slots.get((namespace, bucket))
        if slot is None:
            if len(self._slots) >= REMEMBERED:  # callers may name any namespace
                self._slots = {}
            slot = self._slots[namespace, bucket] = Slot(namespace, bucket)
        return slot
