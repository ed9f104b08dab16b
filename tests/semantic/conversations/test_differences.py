"""What keeps two questions of conversations apart before a judge is asked, on labelled sets and one by one."""

from __future__ import annotations

from functools import cache

import pytest

from core.models import CacheEntry
from core.semantic.conversations import Conversation, difference
from core.semantic.conversations.turns import pack, shortened
from core.semantic.judge.judge import _candidate
from core.semantic.judge.prompt import build_messages
from core.semantic.results import Case
from tests.samples import an_entry
from tests.semantic.conversations.test_completion import completed
from tests.semantic.sets.chat_pairs import ChatPair, chat_pairs


def conversation(messages: list[dict[str, str]]) -> Conversation:
    *before, last = messages
    turns = shortened([(one["role"], one["content"]) for one in before], last["content"])
    assert turns is not None
    return Conversation(turns, last["content"])


@cache
def refused(name: str) -> list[tuple[ChatPair, bool]]:
    found = []
    for pair in chat_pairs(name):
        ours, theirs = conversation(pair.b), conversation(pair.a)
        found.append((pair, difference(ours.completed, theirs.completed) is not None))
    return found


@pytest.mark.parametrize(
    ("name", "pairs", "least_traps", "most_good"), [("seen", 71, 0.8, 0.1), ("unseen", 82, 0.5, 0.4)]
)
def test_the_rules_refuse_most_traps_and_few_right_answers(name, pairs, least_traps, most_good):
    traps = [is_refused for pair, is_refused in refused(name) if not pair.equivalent]
    good = [is_refused for pair, is_refused in refused(name) if pair.equivalent]
    assert len(traps) + len(good) == pairs
    assert sum(traps) / len(traps) >= least_traps
    assert sum(good) / len(good) <= most_good


@pytest.mark.parametrize("name", ["seen", "unseen"])
def test_the_judge_is_shown_all_that_a_question_depends_on(name):
    for pair in chat_pairs(name):
        ours, theirs = conversation(pair.b), conversation(pair.a)
        case = Case(
            namespace="n:conversations",
            question=ours.question,
            history=ours.history,
            dependencies=ours.dependencies,
            converses=True,
        )
        stored = an_entry(prompt=theirs.question, family=b"f" * 32, history=pack(theirs.turns))
        shown = build_messages(case, [_candidate(stored, converses=True)]).messages[1]["content"]
        new, _, old = shown.partition(" stored history>")
        assert [word for word in pair.depends_b if word not in new] == [], pair.category
        assert [word for word in pair.depends_a if word not in old] == [], pair.category


PAINT = "How much paint do I need for it?"
BEANS = "What can I cook with beans tonight?"


@pytest.mark.parametrize(
    ("before", "others", "question", "name"),
    [
        (("How high is Mount Fuji?", "High."), ("How high is Mount Etna?", "High."), "And how old is it?", "names"),
        (("what is gout", "Pain."), ("what is mumps", "Fever."), "is it bad?", "referent"),
        (("A room of 20 m.", "OK."), ("A room of 35 m.", "OK."), PAINT, "numbers"),
        (("I'm a vegetarian.", "OK."), ("Hi", "Hi!"), BEANS, "said"),
        (("Answer in French.", "OK."), ("Answer in Dutch.", "OK."), "What is inflation?", "said"),
        (("Write a wish.", "All the best!"), ("Write a wish.", "Good luck!"), "Make it shorter", "answer"),
        (("How do I turn on roaming?", "So."), ("How do I turn off roaming?", "So."), "Is that free?", "contrast"),
    ],
)
def test_each_kind_of_difference_has_a_name_whichever_way_round(before, others, question, name):
    one, other = completed(*before, question), completed(*others, question)
    for left, right in ((one, other), (other, one)):
        found = difference(left, right)
        assert found is not None
        assert found.name == name
        assert found.reason
    assert difference(one, one) is None


def test_yes_is_not_no():
    one, other = (completed("Shall I restart it?", "Is it on?", reply) for reply in ("Yes.", "No."))
    assert difference(one, other).name == "reply"


def test_an_order_on_an_answer_stands_where_that_answer_is_equal():
    one, other = (completed(first, "All the best!", "Make it shorter") for first in ("Write a wish.", "A wish, please"))
    assert difference(one, other) is None


def test_an_entry_whose_history_cannot_be_read_is_no_conversation():
    from core.semantic.conversations import stored_conversation

    broken: CacheEntry = an_entry(prompt="Why?", family=b"f" * 32, history=b"\xff")
    assert stored_conversation(broken) is None
