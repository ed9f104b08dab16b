"""What the doctor finds in the settings of the semantic part."""

from __future__ import annotations

import pytest

from core.doctor.semantic import semantic_findings
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
