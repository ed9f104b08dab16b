"""WholeCache: a whole cache with a store of its own to ask, and answers that say whose they are. Asks no model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from ..cache import CacheConfig, Hit, Lead, LLMCache, settle
from ..models import CacheEntry, ChatRequest, Completion, Controls
from ..policy import TTLPolicy
from ..semantic import Judgement
from ..semantic.judge import reasons_hidden
from ..stores import MemoryStore
from .labelled import Messages
from .measuring import Verdict

if TYPE_CHECKING:
    from ..semantic import Case, SemanticLookup

USER = "evaluation"
"""Everything is asked by one user: personal questions are compared with each other too."""


class WholeCache:
    """An empty cache to ask, like the one that is configured but for its store, and for a judge that approves nothing.

    `lookup` builds the semantic part with that judge; None where near questions are not looked for. Time stands still:
    nothing expires, however long an evaluation takes.
    """

    def __init__(
        self,
        config: CacheConfig,
        ttl_policy: TTLPolicy,
        lookup: Callable[[NotingJudge], SemanticLookup] | None,
        *,
        model: str,
        now: float,
    ) -> None:
        # Copies, hedging and logs have no part in what is served.
        config = msgspec.structs.replace(config, l1_seconds=0, hedge=False, log_hits=False, fresh_ids=False)
        self._model = model
        self._judge = NotingJudge()
        self._cache = LLMCache(
            config,
            store=MemoryStore(config.max_size, clock=lambda: now),
            ttl_policy=ttl_policy,
            semantic=lookup(self._judge) if lookup is not None else None,
        )
        self._answers = 0

    def ask(self, messages: Messages, label: str) -> Verdict:
        """Asks a question. What is not served is stored with an answer of its own, under the label."""
        self._judge.shown = ()
        request = ChatRequest.from_openai(model=self._model, messages=messages)
        step = settle(self._cache.run(request, Controls(user=USER)))
        if isinstance(step, Hit):
            return Verdict(served=str(step.entry.body["label"]) if step.entry.body else "")
        self._answers += 1
        body = {
            "id": f"answer-{self._answers}",
            "object": "chat.completion",
            "model": self._model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": f"Answer {self._answers}."},
                    "finish_reason": "stop",
                }
            ],
            "label": label,
        }
        step.finish(Completion(body=body))
        return Verdict(shown=self._judge.shown if isinstance(step, Lead) else ())


class NotingJudge:
    """A judge that notes whose answers it is shown, and approves none."""

    def __init__(self) -> None:
        self.shown: tuple[str, ...] = ()

    def rule(self, case: Case, stored: Sequence[CacheEntry]) -> Sequence[Judgement]:
        """Notes what a judge would be shown: what is hidden from it is not."""
        hidden = reasons_hidden(case, stored)
        self.shown += tuple(
            str(entry.body["label"]) for entry, why in zip(stored, hidden, strict=True) if entry.body and not why
        )
        return [Judgement(word="not-shown" if why else "no", reason=why) for why in hidden]
