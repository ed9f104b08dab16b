"""Who an answer is for: everybody who asks the same, or the user who asked. Pure.

Words can only ever say that a question is surely general. What says nothing of the kind is the named user's own; where
nobody is named there is nobody to keep it for, and only what the rules of possession recognise is kept out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from ..models import ChatRequest, Controls
from .ttl import TTLDecision, TTLPolicy

PERSONAL_WITHOUT_USER: Final = "no-user"
"""Why a personal question of nobody in particular goes past the cache."""

EARLIER_TURNS: Final = 4
"""Turns of the user that are looked at beside the last one; who is named and takes more shares nothing by words."""

_NOBODY: Final = (None, "")

SETTING: Final = "setting"
EARLIER: Final = "earlier"
NOT_TEXT: Final = "not-text"


class Audience(StrEnum):
    """For whom the answers of a namespace are.

    SHARED: the provider answers from the request alone, whoever asks, so users share everything. USER: a named user
    shares nothing. AUTO: a named user shares what is surely general.
    """

    AUTO = "auto"
    SHARED = "shared"
    USER = "user"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Who may get the answer to a request, and for how long it is kept.

    `bypass` says why the request may not use the cache, empty when it may. `user` is part of the scope, None when the
    answer is for everybody; `own` then says why it is the user's: a reason of `TTLDecision.not_general`, or `setting`,
    `earlier` (a turn before the last is not surely general, or there are too many) or `not-text` (a picture, a file).
    """

    ttl: TTLDecision
    user: Any = None
    own: str = ""
    bypass: str = ""


def share(request: ChatRequest, controls: Controls, ttls: TTLPolicy, audience: Audience) -> Share:
    """Decides by the last turns of the user, and by who is named."""
    user = user_of(request, controls)
    if request.endpoint == "embeddings":
        # A vector is the same for every user and at any time.
        return _owned(ttls.timeless(), user, SETTING if audience is Audience.USER and user is not None else "")
    turns = _user_turns(request, EARLIER_TURNS + 2)
    last, is_text = turns[0] if turns else ("", True)
    ttl = ttls.explain(last)
    if audience is Audience.SHARED:
        return Share(ttl=ttl)
    earlier = [(ttls.explain(text), is_whole) for text, is_whole in turns[1 : EARLIER_TURNS + 1]]
    personal = ttl if ttl.personal else next((decision for decision, _ in earlier if decision.personal), None)
    if personal is not None:
        # "Go on" is as personal as what it goes on with.
        ttl = min(ttl, personal, key=lambda decision: decision.seconds)
        if user is None:
            return Share(ttl=ttl, bypass=PERSONAL_WITHOUT_USER)
    if user is None:
        return Share(ttl=ttl)
    if audience is Audience.USER:
        return _owned(ttl, user, SETTING)
    if not is_text:
        return _owned(ttl, user, NOT_TEXT)
    is_general_so_far = all(is_whole and not turn.not_general for turn, is_whole in earlier)
    is_seen = len(turns) < EARLIER_TURNS + 2
    return _owned(ttl, user, ttl.not_general or ("" if is_general_so_far and is_seen else EARLIER))


def _owned(ttl: TTLDecision, user: Any, own: str) -> Share:
    """The answer is the user's for a reason, everybody's without one."""
    return Share(ttl=ttl, user=user, own=own) if own else Share(ttl=ttl)


def user_of(request: ChatRequest, controls: Controls) -> Any:
    """Who asks: from the controls, else from the request, whose two names count together; None when nobody is named.

    Whatever is given names somebody, be it a number or an object.
    """
    if controls.user:
        return controls.user
    safety_identifier, user = request.unkeyed.get("safety_identifier"), request.unkeyed.get("user")
    if safety_identifier in _NOBODY or safety_identifier == user:
        return None if user in _NOBODY else user
    return safety_identifier if user in _NOBODY else [safety_identifier, user]


def last_user_text(request: ChatRequest) -> str:
    """The text of the last user message, its parts joined by line ends; empty without one."""
    turns = _user_turns(request, 1)
    return turns[0][0] if turns else ""


def _user_turns(request: ChatRequest, most: int) -> list[tuple[str, bool]]:
    """The user's messages from the last one back: the text, and whether that is all of the message."""
    turns = []
    for message in reversed(request.messages):
        if (type(message) is dict or isinstance(message, Mapping)) and message.get("role") == "user":
            content = message.get("content")
            turns.append((content, True) if isinstance(content, str) else _parts(content))
            if len(turns) == most:
                break
    return turns


def _parts(content: Any) -> tuple[str, bool]:
    parts = content if isinstance(content, Sequence) else () if content is None else (content,)
    texts = [part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str)]
    return "\n".join(texts), len(texts) == len(parts)
