"""Why a request has the identity it has, and what keeps two requests apart: part by part. Asks no store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..keys import NONE, Part, TextKind, kind_of, normalize, parts_of, scope_parts, shown, unpack
from ..models import NO_CONTROLS, CacheEntry, ChatRequest, Controls
from ..policy import TTLDecision

if TYPE_CHECKING:
    from ..cache import LLMCache

SOMETHING = "something else of the request"
"""The name of the difference where an entry does not hold the parts of its scope."""
NOT_NAMED = ("namespace", "model")


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A part that two requests do not share, in words; empty where a request has no such part."""

    name: str
    here: str
    there: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the cache sees it.

    `bypass` says why it must go past the cache, empty when it may use it; then `key` is its readable key. `kind`
    is what its text is taken for, `normal` what a normalized lookup compares of it, empty where it does not apply.
    `ttl` is None for a request without a text. `scope` is the digest of all parts together.
    `own` says why the answer is the named user's, empty when it is for everybody.
    """

    key: str
    bypass: str
    parts: tuple[Part, ...]
    prompt: str
    normal: str
    ttl: TTLDecision | None
    scope: bytes = b""
    kind: TextKind = TextKind.MATERIAL
    own: str = ""


def explain(cache: LLMCache, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Explanation:
    """The parts of a request's identity, its TTL or its bypass reason. Reads no store, counts nothing."""
    prepared = cache.identify(request, controls)
    keyed = prepared.keyed
    server = request.base_url or (cache.provider.base_url if cache.provider is not None else "")
    ttl = keyed.ttl if keyed is not None else None
    kind = keyed.identity.kind if keyed is not None else TextKind.MATERIAL
    user = keyed.user if keyed is not None else None
    text, shape, values = scope_parts(msgspec.structs.replace(request, base_url=server), prepared.namespace, user)
    return Explanation(
        key=keyed.identity.key if keyed is not None else "",
        bypass=prepared.reason,
        parts=tuple(parts_of(values)),
        prompt=text,
        normal=normalize(text, kind, strip_stop_words=cache.config.strip_stop_words) if shape else "",
        ttl=ttl,
        scope=keyed.identity.scope if keyed is not None else b"",
        kind=kind,
        own=keyed.own if keyed is not None else "",
    )


def differences(here: Explanation, there: Explanation) -> list[Difference]:
    """The parts in which two requests differ, the prompt last; empty when they are equal."""
    own, other = ({part.name: part for part in one.parts} for one in (here, there))
    found = [
        Difference(name=name, here=_words(own, name), there=_words(other, name))
        for name in dict.fromkeys((*own, *other))
        if name not in own or name not in other or own[name].digest != other[name].digest
    ]
    return found + _prompts(here, there.prompt, there.normal, there.kind)


def differences_from_entry(here: Explanation, entry: CacheEntry, *, strip_stop_words: bool = False) -> list[Difference]:
    """The parts in which a request differs from the one that an entry answered, the prompt last.

    An entry keeps digests, so most of its values are shown as digests only.
    """
    header = entry.header
    own = {part.name: part for part in here.parts}
    found = [
        Difference(name=name, here=_words(own, name), there=shown(value))
        for name, value in (("namespace", header.namespace), ("model", header.model))
        if _words(own, name) != shown(value)
    ]
    if header.scope != here.scope:
        kept = unpack(entry.parts)
        named = [
            Difference(
                name=name,
                here=_words(own, name) or NONE,
                there=(kept[name].words or f"another, digest {kept[name].digest}") if name in kept else NONE,
            )
            for name in dict.fromkeys((*own, *kept))
            if name not in NOT_NAMED and _digest_of(own, name) != _digest_of(kept, name)
        ]
        if kept:
            found += named
        elif not found:
            found.append(Difference(name=SOMETHING, here="", there="unknown: the entry is from an older version"))
    # Where this text is folded that one is too, if its words allow it. What may be material equals material only.
    kind = kind_of(entry.prompt) if here.kind is not TextKind.MATERIAL else here.kind
    normal = normalize(entry.prompt, kind, strip_stop_words=strip_stop_words) if here.normal else ""
    return found + _prompts(here, entry.prompt, normal, kind)


def _digest_of(parts: dict[str, Part], name: str) -> str:
    return parts[name].digest if name in parts and not parts[name].absent else ""


def _prompts(here: Explanation, prompt: str, normal: str, kind: TextKind) -> list[Difference]:
    if here.prompt == prompt:
        return []
    same_form = here.kind is kind and here.normal == normal != ""
    name = "prompt, not its normal form" if same_form else "prompt"
    return [Difference(name=name, here=shown(here.prompt), there=shown(prompt))]


def _words(parts: dict[str, Part], name: str) -> str:
    return parts[name].words if name in parts else ""
