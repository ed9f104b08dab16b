"""A day's work for the console to show: questions, near matches and labels, invalidations in every state, schedules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from core.bans.criteria import Criteria
from core.bootstrap import Services, bootstrap
from core.demo.model import DemoProvider
from core.demo.replay import sample
from core.models import ChatRequest, Controls
from core.providers.base import Provider
from core.settings import Settings
from tests.e2e.installation import Installation

QUESTIONS = 320
CHECKED = 40
"""So many near matches an operator has labelled; every eighth of them against the judge."""


@contextmanager
def beside(encore: Installation, provider: Provider | None = None) -> Iterator[Services]:
    """The parts of an installation in this process, with a provider or else a demo model that answers at once."""
    settings = Settings.model_validate(
        {name.removeprefix("ENCORE_").lower(): value for name, value in encore.settings.items()}
        | {"redis_url": encore.redis_url}
    )
    with bootstrap(settings, provider=provider or DemoProvider(seed=7, latency_scale=0)) as services:
        yield services


def ask(services: Services, prompt: str, *, model: str = "encore-demo-large", temperature=None, **controls) -> str:
    """Sends a prompt as an application would; the key it has."""
    chosen = {} if temperature is None else {"temperature": temperature}
    request = ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": prompt}], **chosen)
    return services.cache.complete(request, Controls(**controls)).key


def work(encore: Installation) -> None:
    """All of it."""
    with beside(encore) as services:
        questions(services)
        services.questions.group()
        labels(services)
        invalidations(services)
        schedules(services)


def questions(services: Services) -> None:
    """Real questions of a bank's customers, some of them again, some that depend on a document."""
    asked = [str(question.messages[-1]["content"]) for question in sample("banking77")[:QUESTIONS]]
    for number, prompt in enumerate(asked):
        ask(services, prompt)
        if number % 3 == 0:
            ask(services, prompt)
    for number in range(8):
        ask(services, asked[number], model="encore-demo-small", tags=(f"doc:{number}",))
    services.evidence.flush()


def labels(services: Services) -> None:
    """What an operator said of near matches."""
    judged = [pair for pair in services.evidence.pairs("default", limit=1000) if pair.judge_label is not None]
    for number, pair in enumerate(judged[:CHECKED]):
        services.evidence.label(pair.id, pair.judge_label ^ (number % 8 == 0), actor="olga@example.org")


def invalidations(services: Services) -> None:
    """One in each state that an operator can bring about."""
    acts = services.invalidation
    olga = services.audit.by("olga@example.org", source="console")
    undone = acts.invalidate(Criteria(keywords=("exchange",)), actor=olga)
    acts.undo(undone.id, actor=olga)
    acts.invalidate(Criteria(tags=("doc:1",)), actor=services.audit.by("deploy", source="cli"), hold_seconds=0)
    acts.sweep("default", rest=0)
    acts.invalidate(Criteria(model="encore-demo-small"), actor="deploy", soft=True)
    acts.invalidate(Criteria(pattern="*refund*"), actor=olga, hold_seconds=3600)


def schedules(services: Services) -> None:
    """One that runs, one that is paused."""
    services.schedules.add(
        namespace="default", actor="olga@example.org", name="Nightly", older_than_seconds=7 * 86_400, daily_at="03:00"
    )
    paused = services.schedules.add(
        namespace="default", actor="deploy", name="Prices", criteria={"keywords": ["price"]}, every_seconds=6 * 3600
    )
    services.schedules.pause(paused.id, actor="deploy")
