"""Whether a few words ask for the same."""

from __future__ import annotations

import pytest

from core.semantic.guards.orders import difference, order_in


def apart(one: str, other: str) -> str:
    """Why two orders may differ, "" when they do not; words to be weighed as `x ~ y`."""
    found, turned = difference(order_in(one), order_in(other)), difference(order_in(other), order_in(one))
    assert bool(found.reason) == bool(turned.reason)
    assert (found.ours, found.theirs) == (turned.theirs, turned.ours)
    return found.reason or (f"{found.ours} ~ {found.theirs}" if found.ours else "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Summarise the text below.", "Please give me a summary of the following text."),
        ("Can you sum up this report for me?", "Summarize the report, please"),
        ("List the risks in the text above.", "What are the risks in this text?"),
        ("Which people are mentioned?", "Name all people mentioned"),
        ("Draft a reply to this", "Reply to this"),
        ("Turn this into bullet points", "Rewrite this as bullet points"),
        ("What does this function do?", "Please explain this function"),
        ("Check the text for contradictions", "Find the contradictions in the text"),
        ("Rewrite it in a more polite tone", "Rewrite it more politely"),
        ("Who must act next?", "Who has to act next?"),
        ("the neighbour organised it", "the neighbor organized it"),
    ],
)
def test_the_same_order_in_other_words(one, other):
    assert apart(one, other) == ""


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("Summarise this", "Translate this", "one says summarise, the other translate"),
        ("Summarise this", "Summarise only this", "only one says only"),
        ("Summarise this for a lawyer", "Summarise this", "only one says lawyer"),
        ("Translate it and shorten it", "Shorten it and translate it", "the same orders stand in another order"),
        ("List the risks", "Write the risks", "only one says write"),
        ("Summarise the letter", "Summarise the report", "one says letter, the other report"),
        ("List the names", "List the name", "one says names, the other name"),
        ("List the errors", "List the first error", "one says errors, the other error, first"),
        ("Give me a title", "Give me the title", "one says a, the other the"),
        ("Write as the owner", "Write to the owner", "one says as, the other to"),
        ("I need a Spanish translation of it", "Translate it from Spanish", "one says a, of, the other from"),
        ("Suggest a change", "Make a change", "one says suggest, the other write"),
        ("Write a letter to Ada", "Write a letter for Ada", "one says to, the other for"),
        ("they sort tyres", "they order tyres", "one says sort, the other order"),
        ("she gets the key", "she gives the key", "one says gets, the other gives"),
        ("What is the cause?", "Tell me what the cause was", "one says is, the other was"),
        ("the plot is free", "the plot was free", "one says is, the other was"),
        ("she may come", "she must come", "one says may, the other must"),
        ("red brick", "blue brick", "one says red, the other blue"),
        ("replace wine by water", "replace water by wine", "the same words stand in another order"),
        ("Fasse den Text zusammen", "Kritisiere den Text", "one says fasse, zusammen, the other kritisiere"),
    ],
)
def test_another_order(one, other, why):
    assert apart(one, other) == why


def test_words_with_a_counterpart_are_to_be_weighed():
    assert apart("List the risks", "List the dangers") == "risks ~ dangers"
    assert apart("What is the mood?", "What is the tone?") == "one says mood, the other tone", "no verb of an order"
