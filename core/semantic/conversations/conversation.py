"""A conversation as it is stored, compared and shown: its family, its shortened history, its completed question.

Both sides of a comparison are read from their shortened histories, so that what a rule uses is what a judge sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

from ...keys import SCOPE_PARTS, Family, Identity, family_of, history_of, texts_of
from ...models import CacheEntry
from .completion import Completed, complete
from .turns import Turn, pack, shortened, unpack

TOO_LONG: Final = "history-too-long"
PERSONAL: Final = "history-personal"
"""Why a question is not compared with those of other conversations: too much was said before it, or what is somebody's
own while nobody is named."""


class Conversation:
    """A question and its shortened history."""

    def __init__(self, turns: Sequence[Turn], question: str) -> None:
        self.turns = turns
        self.question = question

    @cached_property
    def completed(self) -> Completed:
        """The question with what it depends on."""
        return complete(self.turns, self.question)

    @property
    def history(self) -> tuple[str, ...]:
        """The shortened history as a judge reads it: each turn after who said it, the oldest first."""
        return tuple(f"{'user' if turn.is_user else 'assistant'}: {turn.text}" for turn in self.turns)

    @property
    def dependencies(self) -> tuple[str, ...]:
        """What rules have named that the question depends on."""
        return self.completed.dependencies

    @cached_property
    def text(self) -> str:
        """All of it as one text: what tells two conversations apart in evidence, and what people read there."""
        lines = [self.question]
        if self.dependencies:
            lines.append(f"(depends on: {'; '.join(self.dependencies)})")
        return "\n".join((*lines, *reversed(self.history)))


class OwnConversation(Conversation):
    """A request's own, with its family."""

    def __init__(self, family: Family, turns: Sequence[Turn], question: str) -> None:
        super().__init__(turns, question)
        self.family = family

    @property
    def packed(self) -> bytes:
        """The history as an entry keeps it."""
        return pack(self.turns)


def conversation_of(identity: Identity, personal: Callable[[str], bool]) -> OwnConversation | str:
    """The conversation of a request with a history, or why it is not compared with others.

    `personal` says whether the rules take a text for somebody's own. Takes time linear in the request.
    """
    said = texts_of(history_of(identity))
    turns = shortened(said, identity.prompt)
    if turns is None:
        return TOO_LONG
    owner = None
    # Where the user is in the scope already, the family is that user's own without more.
    if _is_shared(identity) and any(map(personal, (*(text for role, text in said if role == "user"), identity.prompt))):
        if identity.asker is None:
            return PERSONAL
        owner = identity.asker
    return OwnConversation(family_of(identity, owner), turns, identity.prompt)


def stored_conversation(entry: CacheEntry) -> Conversation | None:
    """The conversation that an entry was asked in; one without a history for a first question. None: unreadable."""
    if not entry.history:
        return Conversation((), entry.prompt)
    turns = unpack(entry.history)
    return Conversation(turns, entry.prompt) if turns is not None else None


def _is_shared(identity: Identity) -> bool:
    return identity.parts[SCOPE_PARTS.index("user")] is None
