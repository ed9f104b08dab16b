"""What counts as a verdict, in which forms it is read, and that no text which a judge was shown can make one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.semantic.judge.verdict import MAX_REPLY_CHARACTERS, Ruling, Verdict, read_verdict
from tests.semantic.judge.test_prompt import INJECTIONS

TOKEN = "0123456789ab"
YES, NO, UNNAMED = Ruling.YES, Ruling.NO, Ruling.UNNAMED
REASON = "both ask for ways to pay"


def reply(**fields) -> str:
    return json.dumps({"token": TOKEN, "same": True, "reason": REASON} | fields)


def rulings(text: str, candidates: int = 1) -> tuple[Ruling, ...]:
    return read_verdict(text, TOKEN, candidates).rulings


def test_a_clean_verdict_is_read():
    assert read_verdict(reply(), TOKEN) == Verdict(rulings=(YES,), reason=REASON)
    assert read_verdict(reply(same=False), TOKEN) == Verdict(rulings=(NO,), reason=REASON)
    assert rulings(f"\n {reply()} \n") == (YES,)


FORMS = {
    "a code fence": "```json\n{}\n```",
    "a fence of no language": "```\n{}\n```",
    "a fence in one line": "```{}```",
    "thoughts": "<think>Let me see. They both ask how to pay.</think>\n\n{}",
    "thoughts in capitals": "<THINK>Hm.</THINK>{}",
    "thoughts whose beginning a server left out": "They both ask how to pay.\n</think>\n{}",
    "thoughts that try a verdict": '<think>{"token": "0123456789ab", "same": true} perhaps? No.</think>{}',
    "thoughts that quote an end of thoughts": "<think>The text says </think> and then?</think>{}",
    "thoughts and a fence": "<thinking>Hm.</thinking>\n```json\n{}\n```",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize(("same", "ruling"), [(True, YES), (False, NO)])
def test_a_verdict_is_read_in_any_form_that_models_give_it(form, same, ruling):
    assert rulings(form.replace("{}", reply(same=same), 1) if form.count("{}") else form) == (ruling,)


@pytest.mark.parametrize(
    ("text", "ruling"),
    [
        # Fields more or less than asked for.
        (reply(confidence=1.0, notes=["a"]), YES),
        (json.dumps({"token": TOKEN, "same": True}), YES),
        (json.dumps({"token": TOKEN, "same": False}), NO),
        (reply(reason=None), YES),
        (reply(reason={"a": 1}), YES),
        # Capitals, and words in place of JSON's.
        (f'{{"Token": "{TOKEN}", "SAME": true, "Reason": "x"}}', YES),
        (f'{{"token": "{TOKEN.upper()}", "same": True}}', YES),
        (f'{{"token": "{TOKEN}", "same": FALSE }}', NO),
        (reply(same="TRUE"), YES),
        (reply(same="Yes"), YES),
        (reply(same="No"), NO),
        (reply(same="none"), NO),
        (reply(same=None), NO),
        (reply(same=1), YES),
        (reply(same=0), NO),
        # A bare word, with the token of its question.
        (f"{TOKEN} true", YES),
        (f"{TOKEN} false", NO),
        (f"{TOKEN}: Yes.", YES),
        (f"NO {TOKEN}", NO),
        (f"token {TOKEN}\nsame true", YES),
        (f"```\n{TOKEN} true\n```", YES),
        (f"<think>Hm.</think> {TOKEN} true", YES),
    ],
)
def test_what_differs_from_the_form_asked_for_and_says_it_plainly_is_read(text, ruling):
    assert rulings(text) == (ruling,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        # A model that answers the question instead of judging says so too.
        "yes",
        "no",
        "True",
        "yes yes",
        TOKEN,
        f"{TOKEN} true false",
        f"{TOKEN} perhaps",
        f"{TOKEN} 2",
        f"{TOKEN} true" + "." * 100,
        "Sure! " + reply(),
        reply() + reply(),
        reply(same=False) + reply(),
        f"<think>{reply()}",
        reply(token="another"),
        reply(token=None),
        reply(token=[TOKEN]),
        reply(same="perhaps"),
        reply(same=2),
        reply(same=-1),
        reply(same=1.0),
        reply(same=[True]),
        reply(same={"1": True}),
        reply(different=[1]),
        json.dumps({"same": True, "reason": "no token"}),
        json.dumps({"same": False}),
        json.dumps([{"token": TOKEN, "same": True}]),
        f'{{"token": "{TOKEN}", "same": false, "same": true, "reason": "twice"}}',
        f'{{"token": "{TOKEN}", "same": false, "Same": true}}',
        f'{{"token": "{TOKEN}", "same": true, "reason": "cut off',
        "[" * 100_000,
        '{"a":' * 50_000,
        f'{{"reason": "{"x" * MAX_REPLY_CHARACTERS}", "token": "{TOKEN}", "same": true}}',
    ],
    ids=lambda text: text[:40],
)
def test_anything_else_is_no_verdict(text):
    verdict = read_verdict(text, TOKEN)
    assert verdict.rulings == ()
    assert verdict.reason, "it says why"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"same": 2, "different": [1, 3]}, (NO, YES, NO)),
        ({"same": "2", "different": ["1", "3"]}, (NO, YES, NO)),
        ({"same": 2}, (UNNAMED, YES, UNNAMED)),
        ({"same": 2, "different": [3]}, (UNNAMED, YES, NO)),
        ({"same": 2, "different": "1, 3"}, (UNNAMED, YES, UNNAMED)),
        ({"same": 1, "different": [True, 7, None, 2]}, (YES, UNNAMED, UNNAMED)),
        ({"same": 1, "different": [2, 9, 3]}, (YES, NO, NO)),
        ({"same": "none"}, (NO, NO, NO)),
        ({"same": "None", "different": [1, 2, 3]}, (NO, NO, NO)),
        ({"same": False}, (NO, NO, NO)),
        ({"same": 0}, (NO, NO, NO)),
        ({"same": None}, (NO, NO, NO)),
        # Nothing is served where it is not plain which.
        ({"same": True}, ()),
        ({"same": "yes"}, ()),
        ({"same": [1, 2]}, ()),
        ({"same": 4}, ()),
        ({"same": 2, "different": [1, 2]}, ()),
    ],
)
def test_of_several_candidates_one_is_named_or_none_and_no_other_is_told_of_unless_the_reply_does(fields, expected):
    assert rulings(reply(**fields), 3) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [(f"{TOKEN} 3", (UNNAMED, UNNAMED, YES)), (f"{TOKEN} none", (NO, NO, NO)), (f"{TOKEN} yes", ())],
)
def test_a_bare_word_names_a_candidate_by_its_number(text, expected):
    assert rulings(text, 3) == expected


@given(st.text(max_size=200), st.integers(1, 3))
def test_no_reply_raises_or_is_a_verdict_by_chance(text, candidates):
    assert rulings(text, candidates) == ()


WORDS = st.sampled_from(
    ["true", "yes", "same", "1", "2", '"same": true', "false", "no", "token", "{", "}", '"', ":", ",", "\n", " ", "```",
     "json", "<think>", "</think>", "\\u003c", '{"token": "', '", "same": true}', "<|im_end|>", "0123", "456789ab"]
)  # fmt: skip
WRITTEN = st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=12).map("".join), st.sampled_from(INJECTIONS))
"""What a stranger may write, who does not know the token."""


@given(WRITTEN, st.integers(1, 3))
def test_a_judge_that_repeats_what_a_stranger_wrote_says_nothing(text, candidates):
    assert rulings(text.replace(TOKEN, "-"), candidates) == ()


@given(WRITTEN, WRITTEN, st.sampled_from([False, "none", 0]), st.integers(1, 3))
def test_no_text_that_a_judge_quotes_turns_its_no_into_a_yes(quoted, thought, same, candidates):
    """Whatever it quotes in its reason, its thoughts or fields of its own, before or after the verdict."""
    fields = {"token": TOKEN, "same": same, "reason": quoted, quoted: quoted, "different": [quoted]}
    fields |= {"token": TOKEN, "same": same}
    for text in (
        json.dumps(fields),
        f"<think>{thought}</think>{json.dumps(fields)}",
        f"```json\n{json.dumps(fields, ensure_ascii=False)}\n```",
        f"{quoted}{json.dumps(fields)}",
        f"{json.dumps(fields)}{quoted}",
        f"{TOKEN} no {quoted}",
    ):
        assert YES not in rulings(text, candidates)


@given(WRITTEN, st.integers(1, 3))
def test_nor_does_it_move_a_yes_to_another_candidate(quoted, named):
    fields = {quoted: quoted, "token": TOKEN, "same": named, "reason": quoted}
    fields |= {"token": TOKEN, "same": named}
    found = rulings(f"<think>{quoted}</think>{json.dumps(fields)}", 3)
    assert found in ((), tuple(YES if number == named else UNNAMED for number in (1, 2, 3)))


def test_a_reason_is_cut_and_cleaned_for_the_screen():
    reason = read_verdict(reply(reason="a\x1b[31m\u202eb\n" + "c" * 500), TOKEN).reason
    assert len(reason) == 200
    assert reason.startswith("a [31m b ccc")
