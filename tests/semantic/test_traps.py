"""The traps that semantic caches fall into, each by name: embedder, index and guards together."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import numpy as np
import pytest

from core.keys.identity import identify
from core.models import ChatRequest
from core.semantic.embedding.checked import CheckedEmbedder
from core.semantic.embedding.embedders import EmbedderIdentity, NoVector, WordLlamaEmbedder
from core.semantic.guards.checks import Guard, check
from core.semantic.index.numpy_index import NumpyIndex, Partition

LATER = 4_000_000_000.0
GREY = 0.70
"""The lowest cosine from which anything is considered."""


class Memory:
    """A semantic lookup without a store: what was asked is found by its text."""

    def __init__(self, embedder: WordLlamaEmbedder) -> None:
        self.embedder = CheckedEmbedder(embedder)
        self.index = NumpyIndex()
        self.asked: dict[bytes, str] = {}

    def partition(self, namespace: str, scope: bytes) -> Partition:
        return Partition(namespace=namespace, scope=scope, embedder=self.embedder.identity)

    def store(self, text: str, *, namespace: str = "n", scope: bytes = b"scope") -> None:
        vector = self.embedder.vector(text)
        if not isinstance(vector, NoVector):
            key = sha256(namespace.encode() + scope + text.encode()).digest()
            self.asked[key] = text
            self.index.add(self.partition(namespace, scope), key, vector, LATER)

    def find(self, text: str, *, namespace: str = "n", scope: bytes = b"scope", threshold: float = GREY) -> str | None:
        vector = self.embedder.vector(text)
        if isinstance(vector, NoVector):
            return None
        for candidate in self.index.search(self.partition(namespace, scope), vector, 8, threshold):
            if check(text, self.asked[candidate.key]).passed:
                return self.asked[candidate.key]
        return None


@pytest.fixture
def memory(wordllama: WordLlamaEmbedder) -> Memory:
    return Memory(wordllama)


@pytest.fixture
def cosine(wordllama: WordLlamaEmbedder) -> Callable[[str, str], float]:
    return lambda one, other: float(np.dot(*wordllama.embed([one, other])))


TRAPS = {
    "negation": ("Can I eat nuts while pregnant?", "Can I not eat nuts while pregnant?"),
    "contracted negation": ("Why does my order ship today?", "Why doesn't my order ship today?"),
    "antonym": ("How do I enable two factor login?", "How do I disable two factor login?"),
    "turn on and off": ("Turn on the kitchen lights", "Turn off the kitchen lights"),
    "swapped roles": ("Did the tenant sue the landlord?", "Did the landlord sue the tenant?"),
    "direction": ("Translate this from French to German", "Translate this from German to French"),
    "number": ("What is 17 percent of 300?", "What is 71 percent of 300?"),
    "order number": ("Where is order 48213?", "Where is order 48231?"),
    "identifier": ("What does get_user_by_id return?", "What does get_user_by_name return?"),
    "date": ("Is the office open on December 24?", "Is the office open on December 26?"),
    "month": ("What events are there in June?", "What events are there in July?"),
    "weekday": ("Is the library open on Saturday?", "Is the library open on Sunday?"),
    "unit": ("How far is it to the moon in miles?", "How far is it to the moon in kilometres?"),
    "currency": ("Is the yearly business plan paid in dollars?", "Is the yearly business plan paid in euros?"),
    "country": ("Do I need a work visa in Slovakia?", "Do I need a work visa in Slovenia?"),
    "named entity": ("How high is Mount Fuji in Japan?", "How high is Mount Haku in Japan?"),
    "language of the answer": (
        "Explain to me in Spanish how a rainbow forms",
        "Explain to me in Italian how a rainbow forms",
    ),
    "programming language": ("How do I read a text file by lines in C#?", "How do I read a text file by lines in C++?"),
    "code flag": ("What does tar -C do?", "What does tar -c do?"),
    "first and last": ("Who was the first emperor of Rome?", "Who was the last emperor of Rome?"),
    "version": ("How do I install Django 4.2?", "How do I install Django 5.1?"),
    "time of day": ("Wake me up at 6 am", "Wake me up at 6 pm"),
    "what is asked for": ("Why is my card blocked?", "When is my card blocked?"),
}


@pytest.mark.parametrize(("question", "stored"), TRAPS.values(), ids=TRAPS)
def test_a_trap_is_near_by_cosine_and_still_a_miss(memory, cosine, question, stored):
    assert cosine(question, stored) >= GREY, "not a trap: the cosine alone would have refused it"
    memory.store(stored)
    assert memory.find(question) is None
    assert memory.find(stored) == stored


PARAPHRASES = [
    ("How do I reset my password?", "How can I reset the password?"),
    ("What is the capital of France?", "What's the capital of France?"),
    ("How many legs do 8 spiders have?", "How many legs do eight spiders have?"),
    ("Why doesn't my code compile?", "Why does my code not compile?"),
    ("Please tell me how to cancel my order", "How do I cancel my order?"),
]


@pytest.mark.parametrize(("question", "stored"), PARAPHRASES)
def test_a_paraphrase_inside_one_scope_hits(memory, question, stored):
    memory.store(stored)
    assert memory.find(question) == stored


def test_a_refused_first_candidate_does_not_hide_a_second(memory):
    memory.store("How do I cancel order 17?")
    memory.store("How can I cancel the order 18?")
    assert memory.find("How do I cancel order 18?") == "How can I cancel the order 18?"


def scope_of(messages: list[dict[str, str]], **fields: object) -> bytes:
    request = ChatRequest.from_openai(**{"model": "m", "messages": messages} | fields)
    return identify(request, "n").scope


SHORT = "yes, cancel it"


@pytest.mark.parametrize(
    ("before", "fields"),
    [
        ([{"role": "system", "content": "Answer like a pirate."}], {}),
        ([{"role": "user", "content": "Cancel my flight?"}, {"role": "assistant", "content": "Sure?"}], {}),
        ([], {"model": "another"}),
        ([], {"temperature": 0.7}),
        ([], {"tools": [{"type": "function", "function": {"name": "cancel"}}]}),
    ],
    ids=["system prompt", "earlier messages", "model", "temperature", "tools"],
)
def test_the_same_words_under_another_scope_miss(memory, before, fields):
    question = {"role": "user", "content": SHORT}
    memory.store(SHORT, scope=scope_of([question]))
    assert memory.find(SHORT, scope=scope_of([question])) == SHORT
    assert memory.find(SHORT, scope=scope_of([*before, question], **fields)) is None


def test_two_tenants_never_see_each_other(memory):
    """Poisoning from outside: the other tenant stores the very text that will be asked."""
    random = np.random.default_rng(1)
    words = np.array("how do I reset change my card pin password limit order address today now".split())  # noqa: SIM905
    texts = [" ".join(random.choice(words, 5)) for _ in range(300)]
    for text in texts:
        memory.store(text, namespace="evil")
    assert all(memory.find(text, namespace="good", threshold=-1.0) is None for text in texts)
    for text in texts[::2]:
        memory.store(text, namespace="good")
    known = set(texts[::2])
    assert all(memory.find(text, namespace="good", threshold=-1.0) in {*known, None} for text in texts)


def test_a_row_of_another_embedder_cannot_be_asked_for(memory):
    memory.store("How do I pay?")
    vector = memory.embedder.vector("How do I pay?")
    newer = EmbedderIdentity(name="wordllama", version="next", dimension=256, nested=True)
    assert memory.index.search(Partition(namespace="n", scope=b"scope", embedder=newer), vector, 5, -1.0) == []


def test_two_long_texts_with_the_same_beginning_do_not_match(memory):
    head = "Summarise the following report. " + "The quarter went well for all of us. " * 200
    memory.store(head + "Profit was high.")
    assert memory.find(head + "Profit was low.") is None
    assert memory.embedder.vector(head) is NoVector.TOO_LONG


@pytest.mark.parametrize(("question", "stored"), [("你好", "再见"), ("ยกเลิก", "ยืนยัน"), ("🙂", "🙁")])
def test_what_the_embedder_cannot_read_does_not_match(memory, question, stored):
    memory.store(stored)
    assert memory.find(question) is None


def test_an_anagram_in_a_script_that_is_spelt_does_not_match(memory):
    memory.store("ขอบคุณ")
    assert memory.find("คุณขอบ") is None


def test_a_higher_threshold_finds_no_more(memory):
    memory.store("How can I reset the password?")
    question = "How do I reset my password?"
    found = [memory.find(question, threshold=threshold) is not None for threshold in np.linspace(0.5, 1.0, 26)]
    assert found[0]
    assert not found[-1]
    assert found == sorted(found, reverse=True)


def test_the_text_at_rest_is_checked_against_the_request(memory):
    """A poisoned row: the vector of the question that will come, under another question's text."""
    vector = memory.embedder.vector("What is 2 plus 2?")
    memory.asked[b"k"] = "What is 2 plus 3?"
    memory.index.add(memory.partition("n", b"scope"), b"k", vector, LATER)
    assert memory.find("What is 2 plus 2?") is None
    assert check("What is 2 plus 2?", "What is 2 plus 3?").guard is Guard.NUMBERS
