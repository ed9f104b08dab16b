"""Why a request has the identity it has, and what keeps two requests apart: part by part. Asks no store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from core import policy
from core.keys import SCOPE_PARTS, normalize, part_digest, scope_parts
from core.models import NO_CONTROLS, ChatRequest, Controls
from core.printable import printable
from core.ttl import TTLDecision

if TYPE_CHECKING:
    from core.cache import LLMCache

MAX_WORDS = 200


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the answer depends on: its name, its value in words (cut short), and a digest of all of it."""

    name: str
    words: str
    digest: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A part that two requests do not share, in words; empty where a request has no such part."""

    name: str
    here: str
    there: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the cache sees it.

    `bypass` says why it must go past the cache, empty when it may use it; then `key` is its readable key. `normal` is
    what a normalized lookup compares, empty where it does not apply. `ttl` is None for a request without a text.
    """

    key: str
    bypass: str
    parts: tuple[Part, ...]
    prompt: str
    normal: str
    ttl: TTLDecision | None


def explain(cache: LLMCache, request: ChatRequest, controls: Controls = NO_CONTROLS) -> Explanation:
    """What makes this request the one it is. Changes, counts and asks nothing."""
    call, keyed = cache.decider.prepared(request, controls)
    server = request.base_url or (cache.provider.base_url if cache.provider is not None else "")
    ttl = keyed.decision if keyed is not None else None
    user = policy.user_of(request, controls) if ttl is not None and ttl.personal else None
    text, shape, values = scope_parts(msgspec.structs.replace(request, base_url=server), call.namespace, user)
    return Explanation(
        key=keyed.identity.key if keyed is not None else "",
        bypass=call.bypass,
        parts=tuple(_parts(values)),
        prompt=text,
        normal=normalize(text, strip_stop_words=cache.config.strip_stop_words) if shape else "",
        ttl=ttl,
    )


def differences(here: Explanation, there: Explanation) -> list[Difference]:
    """What two requests do not share, the prompt last; none when they are the same request."""
    own, other = ({part.name: part for part in one.parts} for one in (here, there))
    found = [
        Difference(name=name, here=_words(own, name), there=_words(other, name))
        for name in dict.fromkeys((*own, *other))
        if name not in own or name not in other or own[name].digest != other[name].digest
    ]
    if here.prompt != there.prompt:
        same_form = here.normal == there.normal != ""
        name = "prompt, not its normal form" if same_form else "prompt"
        found.append(Difference(name=name, here=_shown(here.prompt), there=_shown(there.prompt)))
    return found


def _words(parts: dict[str, Part], name: str) -> str:
    return parts[name].words if name in parts else ""


def _parts(values: Sequence[Any]) -> list[Part]:
    found = []
    for name, value in zip(SCOPE_PARTS, values, strict=True):
        if name == "parameters":
            found += [_part(f"parameter {key}", item) for key, item in sorted((value or {}).items())]
        elif name == "headers":
            # A header may be a secret: its name and digest tell enough.
            found += [
                Part(name=f"header {printable(key, 60)}", words="(not shown)", digest=_digest(item))
                for key, item in value or ()
            ]
        else:
            found.append(_part(name, value))
    return found


def _part(name: str, value: Any) -> Part:
    return Part(name=printable(name, 80), words=_shown(value), digest=_digest(value))


def _digest(value: Any) -> str:
    try:
        return part_digest(value)
    except (TypeError, ValueError, AttributeError, RecursionError, OverflowError, NotImplementedError):
        return "none"


def _shown(value: Any) -> str:
    if value is None or value == [] or value == ():
        return "none"
    if isinstance(value, str):
        return printable(value, MAX_WORDS)
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return printable(text, MAX_WORDS)
