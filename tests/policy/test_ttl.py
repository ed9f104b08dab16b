"""How long answers are kept: the rules, word by word, and the policy that reads them."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.configuration import ttl_policy
from core.keys.normalization import TextKind, normalize
from core.policy.rules import TTLRule
from core.policy.ttl import TTLPolicy, class_problems, rule_problems
from core.settings import Settings
from tests.growth import grows_with_the_square

POLICY = TTLPolicy()
WORDINGS = tomllib.loads((Path(__file__).parent / "wordings.toml").read_text(encoding="utf-8"))


def class_of(prompt: str) -> str:
    return POLICY.explain(prompt).ttl_class


@pytest.mark.parametrize(
    ("ttl_class", "seconds"),
    [
        ("static_facts", 604_800),
        ("general_knowledge", 86_400),
        ("code", 21_600),
        ("changing_facts", 21_600),
        ("conversational", 3600),
        ("current_events", 300),
        ("personalized", 1800),
        ("none", 0),
    ],
)
def test_every_class_has_its_duration(ttl_class: str, seconds: float) -> None:
    assert POLICY.classes()[ttl_class] == seconds


@pytest.mark.parametrize("rule", POLICY.rules(), ids=lambda rule: rule.name)
def test_every_rule_decides_its_own_example(rule: TTLRule) -> None:
    decision = POLICY.explain(rule.example)
    assert (decision.rule, decision.ttl_class) == (rule.name, rule.ttl_class)
    assert decision.seconds == POLICY.classes()[rule.ttl_class]
    assert bool(decision.matched) == rule.can_match


@pytest.mark.parametrize(
    "prompt",
    [
        "What is the capital of France?",
        "what's the capital city of peru",
        "Who wrote Hamlet?",
        "How many days are in a leap year?",
        "How many ounces in a pound?",
        "What is the boiling point of water at sea level?",
        "Define photosynthesis",
        "What does NASA stand for?",
        "Which is the longest river in Africa?",
        "In which year did the Titanic sink?",
        "How tall is Mount Everest?",
    ],
)
def test_facts_that_do_not_change_keep_a_week(prompt: str) -> None:
    assert class_of(prompt) == "static_facts"


@pytest.mark.parametrize(
    "prompt",
    [
        "Do you know how photosynthesis works?",  # not "now"
        "Why is snow white?",  # nor here
        "Explain knowledge graphs",
        "What is a zip code used for?",
        "What is the dress code for a wedding?",
        "How do promo codes work?",
        "What is a bank sort code?",
        "Explain the building code for stairs",
        "How does electric current flow through a wire?",
        "How do I open a current account?",
        "What is a currency peg?",
        "Explain ocean currents",
        "Why do newspapers use columns?",  # not "news"
        "Why do codeine tablets need a prescription?",  # not "code"
        "What does a historian do?",  # not "hi"
        "Which animals are weatherproof?",
        "How do I remove rust from a pan?",
        "Which gemstones are ruby red?",
        "What does SWIFT mean in banking?",
        "Describe the Myanmar railway",  # not "my"
        "What is the function of the liver?",
        "How do penguins live?",
        "How does a scoreboard work?",
    ],
)
def test_parts_of_words_and_other_meanings_decide_nothing(prompt: str) -> None:
    assert class_of(prompt) == "general_knowledge"


@pytest.mark.parametrize(
    "prompt",
    [
        "How do I activate my card?",
        "How can I change my address?",
        "Can I cancel my order?",
        "How do I get a refund?",
        "What happens if I lose my card?",
        "What should I do if my transfer is declined?",
        "Is it possible to top up my account by cheque?",
        "Is there a fee for withdrawing my balance abroad?",
        "How long does my first payment take?",
        "Where can I use my card?",
        "Do I need to verify my address?",
        "What is the process for closing my account?",
        "Are there limits to virtual cards?",
        "My top-up didn't work",
        "I have my passport and want to open an account",
    ],
)
def test_questions_that_anyone_may_ask_are_not_personal(prompt: str) -> None:
    assert class_of(prompt) == "general_knowledge"


@pytest.mark.parametrize(
    "prompt",
    [
        "What is my balance?",
        "What's my account balance",
        "what’s my iban?",
        "WHAT IS MY NAME?",
        "Where is my order?",
        "Where's my parcel",
        "When will my card arrive?",
        "Did I pay rent in May?",
        "Have I been charged twice?",
        "Why haven't I received it?",
        "Has my refund arrived?",
        "Why hasn't my refund arrived?",
        "Am I eligible for a loan?",
        "Why was I charged a fee?",
        "How much do I owe?",
        "How many vacation days do I have left?",
        "Please cancel my order",
        "Can you check my last three transactions?",
        "My card payment is still pending",
        "Track order number 48213",
        "Look up invoice #20331 for us",
        "Do you remember my birthday?",
        "What do you know about me?",
        "Find a restaurant near me",
        "Where is the nearest ATM?",
        "What is on my shopping list?",
        "How do I top up? And what is my balance?",  # the second sentence is personal
        "Hello! Where is my parcel?",
        "What is my balance today?",  # personal goes before current
        "¿Dónde está mi pedido?",
        "Wo ist meine Bestellung?",
        "Quel est le solde de mon compte ?",
        "Qual é o meu saldo?",
        "Где мой заказ?",
        "我的订单在哪里？",
        "私の注文はどこですか",
        "내 주문 어디 있어요?",
        "用 Python 查一下我的订单",  # before code, though that is found first
    ],
)
def test_questions_about_oneself_are_personal(prompt: str) -> None:
    decision = POLICY.explain(prompt)
    assert (decision.ttl_class, decision.personal, decision.seconds) == ("personalized", True, 1800)


@pytest.mark.parametrize(
    "prompt",
    [
        "What is the weather in Oslo?",
        "What happened today?",
        "Summarize today's news",
        "Who is the current president of France?",
        "Who is currently the fastest runner?",
        "What time is it?",
        "What's the date",
        "bitcoin price",
        "What is the exchange rate of the euro?",
        "What is the latest version of Python?",  # current goes before code
        "Hi, what is open now?",  # and before small talk
        "What will the capital of France look like tomorrow?",  # and before facts
        "What is on this weekend?",
        "Was gibt es heute Neues?",
        "今天天气怎么样",
        "오늘 날씨 어때?",
    ],
)
def test_what_is_going_on_keeps_five_minutes(prompt: str) -> None:
    decision = POLICY.explain(prompt)
    assert (decision.ttl_class, decision.seconds) == ("current_events", 300)


@pytest.mark.parametrize(
    "prompt",
    [
        "Write a Python function that reverses a list",
        "Why does my code raise a KeyError?",
        "What am I doing wrong in this code?",
        "Explain the following code: print(1)",
        "fix this SQL query",
        "```\nint x;\n```",
        "What is a template in C++?",
        "How do C# delegates work?",
        "Hello, can you debug this script?",  # code goes before small talk
        "Define a class in Java",  # and before facts
        "What is wrong with <b>this</b>?",
        "Review the pull request",
    ],
)
def test_code_keeps_six_hours(prompt: str) -> None:
    assert class_of(prompt) == "code"


@pytest.mark.parametrize(
    "prompt",
    ["Hi", "hello!", "Thank you very much", "How are you?", "what's up", "Yes, please", "Why?", "Tell me more", "OK"],
)
def test_small_talk_keeps_an_hour(prompt: str) -> None:
    assert class_of(prompt) == "conversational"


@pytest.mark.parametrize(
    "prompt",
    ["Generate a strong password", "Pick a random number", "Flip a coin", "roll a dice", "Give me a new UUID please"],
)
def test_what_should_differ_every_time_is_not_stored(prompt: str) -> None:
    decision = POLICY.explain(prompt)
    assert (decision.ttl_class, decision.seconds) == ("none", 0)


@pytest.mark.parametrize(
    ("prompt", "ttl_class"),
    [
        ("How do I generate a random number in Python?", "code"),
        ("How do I create a password for the app?", "general_knowledge"),
        ("What does it mean to flip a house?", "general_knowledge"),
    ],
)
def test_asking_how_to_do_it_oneself_is_another_question(prompt: str, ttl_class: str) -> None:
    assert class_of(prompt) == ttl_class


@pytest.mark.parametrize(
    "prompt",
    [
        *("", " ", "?", "😀", "42", "光合", "الكسوف"),
        "Karfe nawa ne a Tokyo?",  # what time is it, in languages without rules
        "Ke nako mang Tokyo?",
        "ଟୋକିଓରେ କେତେ ସମୟ ହୋଇଛି?",
        "ཏོ་ཀྱོ་ལ་ཆུ་ཚོད་ག་ཚོད་རེད།",
        "Show ସମୟ in ଟୋକିଓରେ",  # a word of English is not all of it
    ],
)
def test_what_no_rule_can_read_is_kept_shortly(prompt: str) -> None:
    assert (class_of(prompt), POLICY.explain(prompt).seconds) == ("current_events", 300)


WORDS = (
    *("what", "is", "my", "balance", "today", "tomorrow", "know", "snow", "code", "zip", "python", "hi", "capital"),
    *("of", "order", "name", "the", "now", "did", "i", "US", "Oslo"),
)


@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=8),
    st.sampled_from([str, str.upper, str.title, str.capitalize]),
    st.sampled_from([" ", "  ", "\t "]),
    st.sampled_from(["", "?", ".", "!", "...", "?!", " "]),
)
def test_texts_with_one_normal_form_have_one_class(
    words: list[str], case: Callable[[str], str], gap: str, closing: str
) -> None:
    prompt = case(gap.join(words)) + closing
    for kind in TextKind:
        assert class_of(prompt) == class_of(normalize(prompt, kind))


@given(st.text(max_size=60))
def test_case_and_surroundings_never_matter(prompt: str) -> None:
    assert class_of(prompt.lower()) == class_of(f"  {prompt.lower()}\n")


@given(st.text())
def test_every_text_has_a_class(prompt: str) -> None:
    assert class_of(prompt) in POLICY.classes()


FILLER = "some words which say nothing " * 400


@pytest.mark.parametrize(
    ("prompt", "ttl_class"),
    [
        (f"What is my balance? {FILLER}", "personalized"),
        (f"{FILLER} What is my balance?", "personalized"),
        (f"{FILLER} What is my balance? {FILLER}", "general_knowledge"),
    ],
)
def test_a_long_prompt_is_judged_by_its_beginning_and_its_end(prompt: str, ttl_class: str) -> None:
    assert class_of(prompt) == ttl_class


@pytest.mark.parametrize("distance", range(990, 1010))
def test_the_cut_of_a_long_prompt_makes_no_words(distance: int) -> None:
    before = ("abc " * 300)[: distance - 1] + " "
    after = " " + ("abc " * 300)[: distance - 1]
    assert class_of(f"{before}nowhere {FILLER}") == "general_knowledge"
    assert class_of(f"{FILLER} snow{after}") == "general_knowledge"


@pytest.mark.parametrize(
    "piece", ["my ", "a", "order ", "how much ", ".", "my order how do i ", "我的", "\u0301", "我", "siparişim", "Ӝ z"]
)
def test_hostile_texts_are_classified_at_once(piece: str) -> None:
    rule = TTLRule(name="gaps", ttl_class="code", phrases=("a ... a ... a ... b", "my ... my ... my ... x"))
    policy = TTLPolicy(rules=[rule])
    assert not grows_with_the_square(policy.explain, lambda size: piece * (size // len(piece)), 1_000_000)


# What an operator may change


def test_an_operators_rule_goes_before_the_standard_ones() -> None:
    rule = TTLRule(name="price list", ttl_class="current_events", phrases=("price list",), words=("Tariff",))
    policy = TTLPolicy(rules=[rule])
    assert policy.explain("Where is my price list?").rule == "price list"
    assert policy.explain("the TARIFF please").matched == "tariff"
    assert policy.explain("Where is my parcel?").rule == "about the person asking"
    assert policy.rules()[0] == rule


def test_an_operators_rule_replaces_the_standard_one_of_its_name() -> None:
    rule = TTLRule(name="small talk", ttl_class="none", words=("moin",))
    policy = TTLPolicy(rules=[rule])
    assert policy.explain("Moin!").ttl_class == "none"
    assert policy.explain("hello").ttl_class == "general_knowledge"
    assert [one.name for one in policy.rules()] == [one.name for one in POLICY.rules()]


def test_the_rule_for_everything_else_can_be_replaced() -> None:
    rest = TTLRule(name="everything else", ttl_class="current_events")
    assert TTLPolicy(rules=[rest]).explain("Explain gravity").seconds == 300


def test_an_operator_sets_durations_and_adds_classes() -> None:
    rule = TTLRule(name="shop", ttl_class="catalogue", words=("sku",))
    policy = TTLPolicy({"code": 60, "catalogue": 900, "conversational": 0}, [rule])
    assert policy.explain("python").seconds == 60
    assert policy.explain("Which SKU?").seconds == 900
    assert policy.explain("hello").seconds == 0
    assert policy.explain("Explain gravity").seconds == 86_400


def test_an_exception_disarms_a_match_in_its_own_sentence_only() -> None:
    rule = TTLRule(name="sale", ttl_class="none", words=("sale",), unless=("bill of sale",))
    policy = TTLPolicy(rules=[rule])
    assert policy.explain("Show the bill of sale").rule == "everything else"
    assert policy.explain("Show the bill of sale. Is there a sale").rule == "sale"


@pytest.mark.parametrize(
    ("phrase", "text", "matches"),
    [
        ("a b", "a b", True),
        ("a b", "a c b", False),
        ("a|c b", "c b", True),
        ("a ... b", "a b", True),
        ("a ... b", "a x x x b", True),
        ("a ... b", "a x x x x b", False),
        ("a ... b", "a x. x b", False),
        ("a ... b ... c", "a x b x c", True),
        ("a ... a ... b", "a a a a b", True),
        ("^ a", "a b", True),
        ("^ a", "b. a b", True),
        ("^ a", "b a", False),
        ("a $", "b a! c", True),
        ("a $", "a b", False),
        ("^ a $", "a", True),
        ("part <number>", "part 1234", True),
        ("part <number>", "part AB-123", False),
        ("part ... <number>", "part AB-123", True),
        ("part <number>", "part 12", False),
        ("what's up", "What’s up?", True),
        ("what's up", "whats up", False),
        ("café", "CAFE\u0301", True),
        ("part*", "partial", True),
        ("part*", "part", True),
        ("part*", "apart", False),
        ("*ing", "going", True),
        ("*ing", "ingot", False),
        ("go*ing", "going", True),
        ("go*ing", "going on", True),
        ("go*oing", "going", False),
        ("old go*|come*", "old coming", False),
        ("old go*|com*", "old coming", True),
        ("com* ... go*", "coming and going", True),
        ("हूँ", "मैं हूँ", True),
    ],
)
def test_a_phrase_matches_words_in_a_row(phrase: str, text: str, matches: bool) -> None:
    policy = TTLPolicy({"mine": 5}, [TTLRule(name="mine", ttl_class="mine", phrases=(phrase,))])
    assert (policy.explain(text).rule == "mine") == matches


@pytest.mark.parametrize(
    ("sign", "text", "matches"),
    [
        ("我的", "是我的吗", True),
        ("我...余额", "我还有多少余额", True),
        ("我...余额", "余额是我的", False),
        ("我...余额", "我。余额", False),
        ("我...余额", "我一二三四五六七八九十一二余额", True),
        ("我...余额", "我一二三四五六七八九十一二三余额", False),
        ("c++", "I like C++", True),
    ],
)
def test_a_sign_matches_a_piece_of_text(sign: str, text: str, matches: bool) -> None:
    policy = TTLPolicy({"mine": 5}, [TTLRule(name="mine", ttl_class="mine", signs=(sign,))])
    assert (policy.explain(text).rule == "mine") == matches


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"words": ["two words"]}, "is not one word"),
        ({"words": ["c++"]}, "is not one word"),
        ({"phrases": [""]}, "has no word"),
        ({"phrases": ["... a"]}, "stands between words"),
        ({"phrases": ["a ..."]}, "stands between words"),
        ({"phrases": ["a ^ b"]}, "begins a sentence"),
        ({"phrases": ["a $ b"]}, "begins a sentence"),
        ({"phrases": ["a|"]}, "nor words separated by"),
        ({"phrases": ["a.*b"]}, "is not a word"),
        ({"phrases": ["a*"]}, "is not a word"),
        ({"words": ["a*"]}, "one \\* beside two letters"),
        ({"words": ["ab*cd*"]}, "one \\* beside two letters"),
        ({"phrases": ["a ... b ... c ... d ... e"]}, "more than 3 gaps"),
        ({"words": ["a"], "example": "b"}, "does not match its own example"),
        ({"words": ["a"], "pattern": "a.*"}, "Extra inputs are not permitted"),
        ({"signs": [""]}, "at least 1 character"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        TTLRule.model_validate({"name": "mine", "ttl_class": "code", **fields})


def test_all_problems_of_classes_are_found() -> None:
    problems = class_problems({"Code": 1, "code": 0.5, "a b": -1, "x": float("nan"), "none": 0, "y": 1})
    assert [problem.split(":")[0] for problem in problems] == [
        "class 'Code'",
        "class 'a b'",
        "class 'code'",
        "class 'a b'",
        "class 'x'",
    ]


def test_all_problems_of_rules_are_found() -> None:
    rules = [
        TTLRule(name="a", ttl_class="nowhere", words=("a",)),
        TTLRule(name="a", ttl_class="mine"),
        TTLRule(name="everything else", ttl_class="code", words=("x",)),
    ]
    problems = rule_problems(rules, {"mine": 1})
    assert [problem.partition(";")[0] for problem in problems] == [
        "rule 'a': no class 'nowhere'",
        "rule 'a': give it words, phrases or signs",
        "rule 'everything else': takes what no other rule does: give it no words",
        "rule 'a': given twice",
    ]
    with pytest.raises(ValueError, match="no class 'nowhere'"):
        TTLPolicy(rules=rules)


def test_settings_bring_classes_and_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCORE_TTL_CLASSES", '{"catalogue": 600}')
    monkeypatch.setenv("ENCORE_TTL_RULES", '[{"name": "shop", "ttl_class": "catalogue", "words": ["sku"]}]')
    decision = ttl_policy(Settings()).explain("Which SKU is it?")
    assert (decision.ttl_class, decision.rule, decision.seconds) == ("catalogue", "shop", 600)


@pytest.mark.parametrize("wordings", WORDINGS["general"], ids=lambda wordings: wordings[0])
def test_how_something_is_done_is_everybodys_in_whatever_words(wordings: list[str]) -> None:
    assert {wording: POLICY.explain(wording).personal for wording in wordings} == dict.fromkeys(wordings, False)


@pytest.mark.parametrize("wordings", WORDINGS["personal"], ids=lambda wordings: wordings[0])
def test_what_somebody_has_is_nobody_elses_in_whatever_words(wordings: list[str]) -> None:
    assert {wording: POLICY.explain(wording).personal for wording in wordings} == dict.fromkeys(wordings, True)
