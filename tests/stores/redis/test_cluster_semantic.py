"""Near questions on a cluster: entries, rows, notes and thresholds are on different servers."""

from __future__ import annotations

from core.bootstrap import Services, bootstrap
from core.models import Answer, ChatRequest, SemanticMode
from core.semantic.judge.budget import SharedBudget
from core.semantic.quality.thresholds import Threshold
from core.settings import Settings
from tests.fakes import CountingProvider


def test_near_questions_are_found_noted_and_calibrated_over_processes(cluster, namespace, tmp_path):
    settings = Settings(
        redis_url=cluster.url,
        home=tmp_path,
        namespace=namespace,
        buckets=16,
        strategy="semantic",
        semantic="serve",
        semantic_threshold=0.8,
        judge_model="encore-demo-small",
        judge_sample=1,
        redis_timeout_seconds=5,
    )

    def ask(services: Services, question: str) -> Answer:
        assert services.semantic is not None
        services.semantic.warm([namespace])
        request = ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": question}])
        return services.cache.complete(request)

    with (
        bootstrap(settings, provider=CountingProvider()) as first,
        bootstrap(settings, provider=CountingProvider()) as second,
    ):
        stored = ask(first, "How do I reset my online banking password?")
        near = ask(second, "How can I reset the password of my online banking?")
        assert (str(near.outcome), near.key) == ("hit (semantic)", stored.key)
        second.evidence.flush()
        [sample] = first.evidence.take_samples()
        assert sample.key == stored.key
        [pair] = first.evidence.pairs(namespace)
        assert first.evidence.label(pair.id, False, actor="ann").operator_label is False
        first.thresholds.publish(namespace, Threshold(mode=SemanticMode.SERVE, serve=0.95), actor="ann")
        assert first.thresholds.current(namespace).version == 1
        assert second.redis is not None
        assert SharedBudget(second.redis, 1).take(namespace)
        assert not SharedBudget(second.redis, 1).take(namespace)
