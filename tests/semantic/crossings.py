"""Does an answer cross a tenant, a system prompt or a model? `python -m tests.semantic.crossings`: a million lookups.

Tenants ask the same questions of one cache: random wordings from a few words, under two system prompts and two models
each, near hits served from a low cosine on; a third of them in conversations, which answer each other as a judge says
yes to everything. Every answer names whom it was made for. One tenant is hostile: it stores what the others will ask,
and puts rows into their partitions, and into those of their families, that lead to its own entries. Entries expire and
are invalidated on the way, so that all paths are taken again and again.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.bootstrap import bootstrap
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.invalidation.invalidator import CacheInvalidator
from core.keys import names
from core.keys.family import family_of
from core.keys.identity import identify
from core.models import CacheEntry, CacheStrategy, ChatRequest, Completion, SemanticMode
from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import NoVector, WordLlamaEmbedder
from core.semantic.fetch import family_row_key
from core.semantic.index.numpy_index import NumpyIndex, Partition
from core.semantic.lookup import SemanticLookup
from core.semantic.quality.thresholds import Threshold
from core.semantic.results import Case, Judgement
from core.settings import Settings
from core.stores.base import Store
from tests.fakes import CountingProvider, Outcomes, a_body

TENANTS = ("acme", "acme.eu", "evil")
SYSTEMS = ("You are short.", "You are kind.")
MODELS = ("gpt-4o", "gpt-4o-mini")
VERBS = ("reset", "change", "find", "cancel", "renew", "lose")
THINGS = ("card", "password", "pin", "account", "order", "address", "invoice")
OPENINGS = ("How do I {} my {}?", "How can I {} the {}?", "I want to {} my {}", "Help me {} a {} please")
OPENED = ("Hello", "Can you help me?", "Is the bank open?", "Thanks")
ANSWERED = ("Hello! What can I do?", "Yes, of course.", "You are welcome.")
INVALIDATED_EVERY = 2_000
SAID_EVERY = 100_000
FOREVER = 4_000_000_000.0


class Labelling(CountingProvider):
    """Answers with the name of the tenant that pays for it, and all that the answer depends on."""

    def __init__(self, tenant: str) -> None:
        super().__init__()
        self.tenant = tenant

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        self.calls += 1
        return Completion(body=a_body(label(self.tenant, request), model=request.model))


class SaysYes:
    """A judge for whom all answers fit: what keeps apart is the partition alone."""

    def rule(self, case: Case, stored: Sequence[CacheEntry]) -> list[Judgement]:
        return [Judgement(word="yes"), *[Judgement(word="no")] * (len(stored) - 1)]


def label(tenant: str, request: ChatRequest) -> str:
    """Whom an answer is for."""
    return f"{tenant} | {request.messages[0]['content']} | {request.model}"


@dataclass(kw_only=True)
class Report:
    """What came of it. `crossings` are (whom it was made for, who got it), of which there may be none."""

    outcomes: Counter[str] = field(default_factory=Counter)
    crossings: list[tuple[str, str]] = field(default_factory=list)
    poisoned: int = 0
    conversations: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.outcomes.most_common())
        return (
            f"{self.outcomes.total():,} lookups in {self.seconds:.0f} s: {kinds}; {self.conversations:,} of the "
            f"semantic hits in conversations; {self.poisoned:,} poisoned rows; "
            f"{len(self.crossings)} crossings"
        )


def run(
    store: Store,
    embedder: CheckedEmbedder,
    lookups: int,
    *,
    prefix: str = "",
    seed: int = 1,
    say: Callable[[str], object] = lambda words: None,
) -> Report:
    """So many lookups by random tenants, each through the whole cache."""
    chance = random.Random(seed)
    index = NumpyIndex()
    caches = {tenant: cache_of(prefix + tenant, store, embedder, index) for tenant in TENANTS}
    sweeper = CacheInvalidator(store, AuditLog(None))
    report = Report()
    began = time.monotonic()
    for number in range(lookups):
        tenant = chance.choice(TENANTS)
        request = request_of(chance)
        answer = caches[tenant].complete(request)
        report.outcomes[f"{answer.outcome.kind} {answer.outcome.detail or ''}".strip()] += 1
        report.conversations += len(request.messages) > 2 and answer.outcome.detail == "semantic"
        if answer.completion.text != label(tenant_of(caches[tenant]), request):
            report.crossings.append((answer.completion.text or "", label(tenant, request)))
        if tenant == "evil":
            report.poisoned += poison(index, embedder, prefix, request)
        if number % INVALIDATED_EVERY == INVALIDATED_EVERY - 1:
            caches[tenant].invalidate(Criteria(model=chance.choice(MODELS)), hold_seconds=0)
            sweeper.sweep(prefix + tenant, rest=0)
        if number % SAID_EVERY == SAID_EVERY - 1:
            report.seconds = time.monotonic() - began
            say(str(report))
    report.seconds = time.monotonic() - began
    return report


def cache_of(namespace: str, store: Store, embedder: CheckedEmbedder, index: NumpyIndex) -> LLMCache:
    """One tenant's cache over what all share."""
    semantic = SemanticLookup(
        embedder,
        index,
        thresholds=lambda name: (
            Threshold(mode=SemanticMode.JUDGE, grey=0.3, serve=None)
            if name.endswith(names.CONVERSATIONS)
            else Threshold(mode=SemanticMode.SERVE, grey=0.5, serve=0.6)
        ),
        judge=SaysYes(),
        conversations=True,
        personal=lambda text: False,
    )
    config = CacheConfig(namespace=namespace, strategy=CacheStrategy.SEMANTIC, ttl=60, conversations=True)
    return LLMCache(config, store=store, provider=Labelling(namespace), metrics=Outcomes(), semantic=semantic)


def tenant_of(cache: LLMCache) -> str:
    """The name in the answers of a cache."""
    return cache.config.namespace


def request_of(chance: random.Random) -> ChatRequest:
    """A question that others ask too."""
    question = chance.choice(OPENINGS).format(chance.choice(VERBS), chance.choice(THINGS))
    if chance.random() < 0.2:
        question = question.upper()
    history = [
        {"role": role, "content": chance.choice(texts)}
        for _ in range(chance.choice((0, 0, 0, 0, 1, 2)))
        for role, texts in (("user", OPENED), ("assistant", ANSWERED))
    ]
    system = {"role": "system", "content": chance.choice(SYSTEMS)}
    messages = [system, *history, {"role": "user", "content": question}]
    return ChatRequest.from_openai(model=chance.choice(MODELS), messages=messages)


def poison(index: NumpyIndex, embedder: CheckedEmbedder, prefix: str, request: ChatRequest) -> int:
    """Puts a row into another tenant's partition: the very question, leading to an entry of the hostile one."""
    own = identify(request, prefix + "evil")
    vector = embedder.vector(own.prompt)
    if isinstance(vector, NoVector):
        return 0
    victim = identify(request, prefix + "acme", converses=True)
    scopes = [(victim.scope, own.bucket.to_bytes(2, "big") + own.exact)]
    if victim.converses:
        scopes.append((family_of(victim).digest, family_row_key(own.bucket, own.exact)))
    for scope, row in scopes:
        index.add(Partition(namespace=prefix + "acme", scope=scope, embedder=embedder.identity), row, vector, FOREVER)
    return len(scopes)


@contextmanager
def a_store(url: str | None) -> Iterator[Store]:
    """The store at a URL, or one in this process."""
    settings = Settings(redis_url=url) if url else Settings(home="/nonexistent")
    with bootstrap(settings) as services:
        yield services.cache.store


def said(words: str) -> None:
    """Prints at once, also into a file."""
    print(words, flush=True)


def main() -> None:
    """Runs it and says what came of it; exit code 1 for a crossing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lookups", type=int, default=1_000_000)
    parser.add_argument("--redis", help="URL of a Redis for it alone; without one everything is in this process")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with a_store(arguments.redis) as store:
        report = run(store, CheckedEmbedder(WordLlamaEmbedder()), arguments.lookups, seed=arguments.seed, say=said)
    said(str(report))
    if report.crossings:
        raise SystemExit("\n".join(f"{made} was given to {given}" for made, given in report.crossings[:20]))


if __name__ == "__main__":
    main()
