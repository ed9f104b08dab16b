"""Pairs of long prompts through the whole cache, by kind: `python -m tests.semantic.long_prompts`.

The embedder is the one that is shipped. The held-back pairs are shown too; nothing is tuned on them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.models import CacheStrategy, ChatRequest, Controls, OutcomeKind, SemanticMode
from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import WordLlamaEmbedder
from core.semantic.index.numpy_index import NumpyIndex
from core.semantic.lookup import SemanticLookup
from core.semantic.quality.thresholds import Threshold
from core.stores.memory import MemoryStore
from tests.fakes import CountingProvider, Outcomes
from tests.semantic.sets.long_prompts import LongPair, long_pairs

THRESHOLDS = (0.97, 0.90, 0.88)


def asked(pairs: Sequence[LongPair], serve: float, embedder: CheckedEmbedder) -> list[bool]:
    """Whether the second prompt of each pair is answered with what the first one was told; each in its own scope."""
    semantic = SemanticLookup(
        embedder,
        NumpyIndex(),
        thresholds=lambda namespace: Threshold(mode=SemanticMode.SERVE, grey=0.7, serve=serve),
    )
    cache = LLMCache(
        CacheConfig(namespace="long", strategy=CacheStrategy.SEMANTIC),
        store=MemoryStore(),
        provider=CountingProvider(),
        metrics=Outcomes(),
        semantic=semantic,
    )

    def is_hit(number: int, prompt: str) -> bool:
        messages = [{"role": "system", "content": f"Pair {number}."}, {"role": "user", "content": prompt}]
        answer = cache.complete(ChatRequest.from_openai(model="m", messages=messages, user="ada"), Controls())
        return answer.outcome.kind is OutcomeKind.HIT

    for number, pair in enumerate(pairs):
        assert not is_hit(number, pair.a)
    return [is_hit(number, pair.b) for number, pair in enumerate(pairs)]


def table(pairs: Sequence[LongPair], thresholds: Sequence[float], embedder: CheckedEmbedder) -> str:
    """The share of each kind that is served at each threshold."""
    served = {serve: asked(pairs, serve, embedder) for serve in thresholds}
    of = Counter((not pair.same, pair.kind) for pair in pairs)
    lines = [f"{'served from':44}" + "".join(f"{serve:>12.2f}" for serve in thresholds)]
    for is_wrong, kind in sorted(of):
        counts = (
            sum(hit for hit, pair in zip(hits, pairs, strict=True) if (not pair.same, pair.kind) == (is_wrong, kind))
            for hits in served.values()
        )
        name = f"{'wrong' if is_wrong else 'right'}: {kind}"
        lines.append(f"{name:44}" + "".join(f"{f'{count} / {of[is_wrong, kind]}':>12}" for count in counts))
    return "\n".join(lines)


if __name__ == "__main__":
    shipped = CheckedEmbedder(WordLlamaEmbedder())
    for name in ("development", "held_back"):
        sys.stdout.write(f"{name}\n{table(long_pairs(name), THRESHOLDS, shipped)}\n\n")
