"""Which texts share an answer by their normal form, and which never do, whatever is said to the model beside them."""

from __future__ import annotations

import unicodedata
from typing import Any

import msgspec
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from core.keys.identity import identify
from core.keys.normalization import TextKind
from core.keys.phrases import rules_data
from core.keys.plain import (
    LONGEST,
    LONGEST_INSTRUCTION,
    PLAIN_FUNCTION,
    _Rules,
    is_plain_instruction,
    kind_of,
    spaced,
)
from core.models import ChatRequest
from tests.growth import grows_with_the_square

TRANSLATOR = "Translate into Spanish."
ASSISTANT = "You are a helpful assistant."


def ask(prompt: str, system: str | None = None, /, *, before: Any = (), **fields: Any) -> ChatRequest:
    instructions = [] if system is None else [{"role": "system", "content": system}]
    messages = [*instructions, *before, {"role": "user", "content": prompt}]
    return ChatRequest.from_openai(model="m", messages=messages, **fields)


def normal(request: ChatRequest, **options: Any) -> bytes | None:
    return identify(request, "test", **options).normalized


def meet(one: str, other: str, system: str | None = None, /, **fields: Any) -> bool:
    return normal(ask(one, system, **fields)) == normal(ask(other, system, **fields))


# Pairs

MEET = [
    ("What is DNS?", "what is DNS"),
    ("What is the capital of Sweden?", "what is the capital of sweden"),
    ("What Does Photosynthesis Produce?", "what does photosynthesis produce"),
    ("Do you know if I need a PIN?", "do you know if i need a PIN"),
    ("WHAT IS THE CAPITAL OF SWEDEN", "what is the capital of sweden?"),
    ("What is gravity?", "What  is gravity"),
    ("Who wrote Hamlet?", "who wrote Hamlet"),
    ("WHERE IS THE RIVER NILE?", "where is the river nile"),
    ("How do I activate my card?", "how do i activate my card"),
    ("Why hasn’t my transfer arrived?", "why hasn’t my transfer arrived"),
    ("Is it raining?", "is it raining"),
    ("Can I change my PIN?", "can I change my  PIN"),
    ("How do I change the password of my card?", "how do i change the password of my card"),
    ("Could you please explain gravity?", "could you please explain gravity"),
    ("Hello, where is the library?", "hello, where is the library"),
    ("Tell me about rivers.", "tell me about rivers"),
    ("Explain gravity.", "explain gravity"),
    ("Please help me with my card.", "please help me with my card"),
    ("Write a poem about autumn", "write a poem about autumn"),
    ("I need to cancel my card.", "i need to cancel my card"),
    ("Why?", "why"),
    ("Was ist ein Motor?", "was ist ein Motor"),
    ("Warum ist der Himmel blau?", "warum ist der Himmel blau"),
    ("Erkläre die Schwerkraft.", "erkläre die Schwerkraft."),
    ("Qu'est-ce que la gravité?", "qu'est-ce que la gravité"),
    ("Quelle est la capitale?", "quelle est la capitale"),
    ("Do penguins fly?", "do penguins fly"),
    ("Are bananas berries?", "are bananas berries"),
    ("Is coffee healthy?", "is coffee  healthy?"),
    ("Does Netflix work abroad?", "does netflix work abroad"),
    ("Can dogs eat grapes?", "can dogs eat grapes"),
    ("Should children drink coffee?", "should children drink coffee"),
    ("At what temperature does water boil?", "at what temperature does water boil"),
    ("In which year did Columbus land?", "in which year did Columbus land"),
    ("Which is bigger, a lion or a tiger?", "which is bigger, a lion or a tiger"),
    ("Who is taller, Messi or Ronaldo?", "who is taller, Messi or Ronaldo"),
    ("Explique la gravité.", "explique la gravité."),
    ("¿Está lloviendo?", "¿está lloviendo"),
    ("¿Cuál es la capital?", "¿cuál es la capital"),
    ("Qual è la capitale?", "qual è la capitale"),
    ("Qual é a capital?", "qual é a capital"),
    ("Hoe werkt een motor?", "hoe werkt een motor"),
    ("Czy żelazo rdzewieje?", "czy żelazo rdzewieje"),
    ("Что такое гравитация?", "что такое гравитация"),
    ("Почему небо голубое?", "почему небо голубое"),
    ("Yerçekimi nedir?", "yerçekimi nedir"),
    ("Vad är gravitation?", "vad är gravitation"),
    ("重力とは何ですか？", "重力とは何ですか"),
    ("什么是重力？", "什么是重力"),
    ("중력은 무엇인가요?", "중력은 무엇인가요"),
    ("ما هو الجاذبية؟", "ما هو الجاذبية"),
    ("गुरुत्वाकर्षण क्या है?", "गुरुत्वाकर्षण क्या है"),
]


@pytest.mark.parametrize(("one", "other"), MEET)
def test_plain_questions_and_orders_meet(one: str, other: str) -> None:
    assert meet(one, other)
    assert meet(one, other, ASSISTANT), "it only says who answers"
    assert not meet(one, other, TRANSLATOR), "they are what is to be translated"
    assert not meet(
        one, other, before=[{"role": "user", "content": "Translate"}, {"role": "assistant", "content": "OK"}]
    )


APART = [
    # A statement and a question
    ("You are leaving tomorrow?", "You are leaving tomorrow."),
    ("You are leaving tomorrow?", "You are leaving tomorrow"),
    ("You finished it!", "You finished it?"),
    ("You finished it!", "You finished it"),
    ("He has arrived", "He has arrived?"),
    ("There is a problem?", "There is a problem."),
    ("will is leaving tomorrow", "will is leaving tomorrow?"),
    ("What a mess", "What a mess?"),
    ("How nice you are", "How nice you are?"),
    ("What I want is peace", "What I want is peace?"),
    ("When I was young", "When I was young?"),
    ("Was great", "Was great?"),
    ("Do the dishes", "Do the dishes?"),
    ("Have a nice day", "Have a nice day?"),
    ("Should you need help call", "Should you need help call?"),
    ("Is it late!", "Is it late?"),
    ("Tell me more?", "Tell me more."),
    ("Explain gravity?", "Explain gravity"),
    ("Du gehst morgen?", "Du gehst morgen."),
    ("Wie schön du bist", "Wie schön du bist?"),
    ("Morgen ist der letzte Tag", "Morgen ist der letzte Tag?"),
    ("Tu pars demain?", "Tu pars demain."),
    ("Quelle belle journée", "Quelle belle journée?"),
    ("Te vas mañana?", "Te vas mañana."),
    ("Está lloviendo", "Está lloviendo?"),
    ("Parti domani?", "Parti domani."),
    ("Você vai amanhã?", "Você vai amanhã."),
    ("Je gaat morgen?", "Je gaat morgen."),
    ("Jutro wyjeżdżasz?", "Jutro wyjeżdżasz."),
    ("Ты уезжаешь завтра?", "Ты уезжаешь завтра."),
    ("Yarın gidiyorsun?", "Yarın gidiyorsun."),
    ("Du åker imorgon?", "Du åker imorgon."),
    ("明日出発する？", "明日出発する。"),
    ("你明天走？", "你明天走。"),
    ("내일 떠나요?", "내일 떠나요."),
    ("ستغادر غدا؟", "ستغادر غدا."),
    ("तुम कल जा रहे हो?", "तुम कल जा रहे हो।"),
    ("How do I type hello  world?", "How do I type hello world?"),
    # Questions that bring what they are about
    ("What is the md5 of hello?", "What is the md5 of Hello?"),
    ("What is the hash of hello?", "What is the hash of Hello?"),
    ("Calculate the sha of hello", "Calculate the sha of Hello"),
    ("What is the checksum of hello?", "What is the checksum of Hello?"),
    ("Calculate the ASCII sum of hello", "Calculate the ASCII sum of Hello"),
    ("What is hello in binary?", "What is Hello in binary?"),
    ("How does hello look in braille?", "How does Hello look in braille?"),
    ("Give me hello in unicode", "Give me Hello in unicode"),
    ("How many bytes has Hello?", "How many bytes has Hello"),
    ("How many symbols are in hello?", "How many symbols are in Hello?"),
    ("What is hello in JSON?", "What is Hello in JSON?"),
    ("How do you write monday?", "How do you write Monday?"),
    ("How do I spell monday?", "How do I spell Monday?"),
    ("How would one type monday?", "How would one type Monday?"),
    ("Write a regex matching Cat", "Write a regex matching cat"),
    ("Create a pattern for Cat", "Create a pattern for cat"),
    ("Does the glob Cat match?", "Does the glob cat match?"),
    ("What is the password if it is Secret?", "What is the password if it is secret?"),
    ("Is the password Secret strong?", "Is the password secret strong?"),
    ("Write a passphrase from Correct Horse", "Write a passphrase from correct horse"),
    ("What are the initials of ann lee?", "What are the initials of Ann Lee?"),
    ("How would you fix i has went home?", "How would you fix I has went home?"),
    ("What would you change in i has went?", "What would you change in I has went?"),
    ("How do I make i has went better?", "How do I make I has went better?"),
    ("How can I improve me and him goes?", "How can I improve Me and him goes?"),
    ("How should I end dear sir?", "How should I end Dear Sir?"),
    ("Does the email hey bob sound rude?", "Does the email Hey Bob sound rude?"),
    ("Does i am fine sound polite?", "Does I am fine sound polite?"),
    ("Is the review great movie good or bad?", "Is the review Great movie good or bad?"),
    ("Is he angry who writes i want it?", "Is he angry who writes I want it?"),
    ("How would you rate great movie?", "How would you rate Great movie?"),
    ("Write a caption from man bites dog", "Write a caption from Man bites dog"),
    ("Make a haiku out of you are leaving", "Make a haiku out of You are leaving"),
    ("Which language is this Ich bin?", "Which language is this ich bin?"),
    ("What should I reply to how are you?", "What should I reply to how are you"),
    ("How should I respond to you finished it?", "How should I respond to you finished it"),
    ("How do I answer you are leaving tomorrow?", "How do I answer you are leaving tomorrow"),
    ("What is the answer to you left?", "What is the answer to you left"),
    ("What is meant by you are leaving tomorrow?", "What is meant by you are leaving tomorrow"),
    ("What did she mean by fine?", "What did she mean by fine"),
    # Material without a system text
    ("i went to london yesterday", "I went to london yesterday"),
    ("Translate hello", "Translate Hello"),
    ("Can you translate hello?", "can you translate hello?"),
    ("Correct i has went", "Correct I has went"),
    ("Can you fix i has went", "Can you fix I has went"),
    ("I want to fix i has went", "I want to fix I has went"),
    ("Is it correct to say i has went?", "Is it correct to say I has went?"),
    ("How many letters are in  it?", "How many letters are in it?"),
    ("How do you say Good morning in French?", "How do you say good morning in French?"),
    ("What is Cheese in German?", "what is cheese in German?"),
    ("Summarize It rained", "Summarize it rained"),
    ("Classify Great movie", "Classify great movie"),
    ("Repeat after me hello", "Repeat after me  hello"),
    ("Spell Necessary", "Spell necessary"),
    ("What is the length of abc  d?", "What is the length of abc d?"),
    ("What is wrong with i has went?", "What is wrong with I has went?"),
    ("Is the movie was Great positive or negative?", "Is the movie was great positive or negative?"),
    ("Give me Bee in Morse", "Give me bee in Morse"),
    ("Tell me if this is polite", "tell me if this is polite?"),
    ("Count it", "Count  it"),
    ("What is DNS? i went home", "What is DNS? I went home"),
    ("Please rewrite i has went", "Please rewrite I has went"),
    ("Is there a mistake in i has went?", "Is there a mistake in I has went?"),
    ("Übersetze hallo", "Übersetze Hallo"),
    ("Wie schreibt man Hallo?", "Wie schreibt man hallo?"),
    ("Comment dit-on Bonjour en anglais?", "Comment dit-on bonjour en anglais?"),
    ("¿Cómo se dice Hola en inglés?", "¿Cómo se dice hola en inglés?"),
    ("Come si dice Ciao in inglese?", "Come si dice ciao in inglese?"),
    ("Переведи Привет", "Переведи привет"),
    ("「Hello」とは何ですか", "「hello」とは何ですか"),
    ("请翻译 Hello", "请翻译 hello"),
]


CASE_TELLS = [
    # Other languages than English tell words by their case
    ("Wer sind Sie?", "Wer sind sie?"),
    ("Wo ist Ihr Büro?", "Wo ist ihr Büro?"),
    ("Wie kann ich Ihnen helfen?", "Wie kann ich ihnen helfen?"),
    ("Können Sie schwimmen?", "Können sie schwimmen?"),
    ("Was ist Weise?", "Was ist weise?"),
    ("Was ist Rasen?", "Was ist rasen?"),
    ("WAS MACHEN SIE?", "was machen sie?"),
    ("WAS HAT DIE HAND?", "was hat die hand?"),
    ("Chi è Lei?", "Chi è lei?"),
    ("Come si chiama Lei?", "Come si chiama lei?"),
    ("Qu'est-ce que l'État?", "Qu'est-ce que l'état?"),
    ("Quelle est la Terre?", "Quelle est la terre?"),
    ("¿Qué es la Bolsa?", "¿qué es la bolsa?"),
    ("O que é o Estado?", "o que é o estado"),
    ("Wat is de Staat?", "Wat is de staat?"),
    ("Vad är Kina?", "Vad är kina?"),
    ("Что такое Земля?", "Что такое земля?"),
    ("Jak działa Tygodnik?", "Jak działa tygodnik?"),
    # Both cases in one text: their difference is what is asked about
    (
        "What is the difference between Type and type in Python?",
        "What is the difference between type and Type in Python?",
    ),
    ("What is the difference between Europe and europe?", "What is the difference between europe and Europe?"),
    ("WHERE IS THE APPLE STORE?", "where is the apple store?"),
    ("What is the difference between God and god?", "What is the difference between god and God?"),
    ("What is the difference between Frame and frame?", "What is the difference between frame and Frame?"),
    ("Is it JavaScript or Javascript?", "Is it Javascript or JavaScript?"),
    ("Should I use Internet or internet?", "Should I use internet or Internet?"),
    ("Which is faster Vector or vector?", "Which is faster vector or Vector?"),
    ("Explain Bag versus bag", "Explain bag versus Bag"),
    ("Does Passw match passw", "does passw match passw"),
    ("Are the Gods the gods of Rome?", "Are the gods the Gods of Rome?"),
    # Words that are another one with a capital
    ("What is Nice like?", "What is nice like?"),
    ("Who is Job?", "Who is job?"),
    ("How do I clean Windows?", "How do I clean windows?"),
    ("What is Turkey?", "What is turkey?"),
    ("How much is a Polish table?", "How much is a polish table?"),
    ("Where can I buy an Apple?", "Where can I buy an apple?"),
    ("Where do the Poles live?", "Where do the poles live?"),
    ("How old is Mercury's surface?", "How old is mercury's surface?"),
    ("How do I get a Visa?", "How do I get a visa?"),
    ("Tell me about Python.", "Tell me about python."),
    ("Tell me about Excel and Word", "Tell me about excel and word"),
    ("Who are the Doors?", "Who are the doors?"),
    ("What is the State?", "What is the state?"),
    ("When is March?", "When is march?"),
    ("Who are the Saints?", "Who are the saints?"),
    ("WHAT IS NICE LIKE?", "what is nice like?"),
]


@pytest.mark.parametrize(("one", "other"), CASE_TELLS)
def test_texts_whose_case_tells_what_is_asked_never_meet(one: str, other: str) -> None:
    assert not meet(one, other)


@pytest.mark.parametrize(("one", "other"), APART)
@pytest.mark.parametrize("system", [None, ASSISTANT, TRANSLATOR])
def test_what_may_be_material_never_meets(one: str, other: str, system: str | None) -> None:
    assert not meet(one, other, system)


@pytest.mark.parametrize(
    "text",
    [
        "Why does that message sound rude?",
        "What happens when they mean by my card?",
        "How do I know if we answer to my bank?",
        "What happens when the review my card?",
    ],
)
def test_a_question_about_what_was_said_is_material(text: str) -> None:
    assert kind_of(text) is TextKind.MATERIAL


def test_a_long_question_brings_material_with_it() -> None:
    text = "What is the meaning of " + "a " * LONGEST
    assert kind_of(text) is TextKind.MATERIAL
    assert kind_of(text[: LONGEST // 2]) is TextKind.QUESTION


@pytest.mark.parametrize("text", sorted({text for pair in APART for text in pair}))
def test_material_is_exact_but_for_its_unicode_form_and_outer_white_space(text: str) -> None:
    assert normal(ask(f" {unicodedata.normalize('NFD', text)}\n")) == normal(ask(unicodedata.normalize("NFC", text)))
    if kind_of(text) is not TextKind.MATERIAL:
        return
    for other in (text.swapcase(), text + "!", text + " ?", text.replace(" ", "  ")):
        assert other == text or normal(ask(other)) != normal(ask(text))


# What stands beside the text

PLAIN = [
    "",
    "You are a helpful assistant.",
    "You are a helpful assistant",
    "you are a helpful, harmless and honest AI assistant.",
    "Be brief.",
    "You are Ada, a friendly pirate.",
    "You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\nCurrent date: 2026-11-30",
    "You are a customer support agent for Acme Bank. Be polite and concise. If you don't know the answer, say so.",
    "Answer the user's questions about our products politely.",
    "You are an expert Python developer. Keep your answers short.",
    "Please answer in French.",
    "You are an assistant for Acme Corporation.",
    "You are a helpful assistant for Union Station.",
    "You are Ada, an assistant made by King Holdings",
    "Today is Monday, 30 November 2026.",
    "The current date is 2026-11-30",
    "Current date: November 30th, 2026. Be brief.",
    "The current date and time is 30/11/2026 at 14:05 UTC",
    "Your task is to help customers with their questions. Do not make things up.",
    "Du bist ein hilfreicher Assistent.",
    "Tu es un assistant utile.",
    "你是一个有用的助手。",
    "あなたは親切なアシスタントです。",
    "Your name is Alice.",
    "You are an assistant named Max.",
    "You are a friendly assistant from Contoso Insurance.",
    "You are a customer service agent for Blue Whale.",
    "You are a concierge at Hotel Sacher.",
    "You work as a sales assistant for Globex.",
]


@pytest.mark.parametrize("system", PLAIN)
def test_a_system_text_that_only_says_who_answers_and_how_is_plain(system: str) -> None:
    assert is_plain_instruction(system)
    assert meet("What is gravity?", "what is gravity", system)


NOT_PLAIN = [
    "Translate into Spanish.",
    "You are a helpful assistant. Translate into Spanish.",
    "You are a helpful assistant that translates.",
    "You are a helpful assistant, translate everything.",
    "Translate. You are a helpful assistant.",
    "You are a translator.",
    "You are a Spanish translator",
    "You are Translator.",
    "You are Spanish.",
    "You are DeepL.",
    "You are Morse Code, a friendly bot",
    "You are a helpful assistant for French",
    "You are a proofreader.",
    "You are a helpful proofreader for Acme.",
    "You are a classifier",
    "You are a helpful assistant for Translating",
    "You are a helpful assistant\nCorrect the grammar",
    "Answer with positive or negative.",
    "Reply with the number of characters",
    "Repeat what the user says.",
    "Use the following context to answer.",
    "Be a translator.",
    "You are an expert at Copyediting",
    "You are a bot for Moderation",
    "You are a bot for Language Detection",
    "You are an agent for Intent Detection",
    "You are an agent for Ticket Routing",
    "You are an assistant for Keyword Tagging",
    "You are a service agent for Transliteration",
    "You work as an assistant for Subtitles",
    "You are a chatbot for Dictation",
    "You are a bot called Shouty Caps",
    "You are an assistant for Editors.",
    "You are a helper for Style Improvement",
    "You are a chatbot for Deutsch",
    "You are an assistant for SQL",
    "You are an assistant for Search Queries",
    "You are an assistant named Humanizer",
    "You are DeepL, an AI assistant",
    "You are Quillbot, an AI",
    "You are Grammarly, a helpful assistant",
    "Today is Translate 5 all",
    "The current date is translate the user text 1",
    "Today is now count letters 3",
    "Knowledge cutoff: Count letters 2023",
    "Current time count the words 7",
    "Today is 5 in Spanish",
    "Answer in JSON.",
    "Répondez en traduisant.",
    "Du bist ein hilfreicher Assistent. Übersetze alles.",
    "You are a bot called Dolmetscher.",
    "You are an assistant named Lektor.",
    "You are a bot called G2P.",
    "You are Speech Act, a bot.",
    "You are Yoda, a wizard.",
    "You are a bot called Hasher.",
    "You are an assistant named Kaantaja",
    "You are a bot for Pragmatics.",
    "You are an expert of Semantics.",
    "You are a helpful assistant made by Lingotek.",
    "You are a helpful assistant for Duolingo.",
    "You are a support agent called Tolk.",
    "You are a support agent for French.",
    "You are a concierge for Letters.",
    "You are a customer service agent for Correct Words",
    "Your name is Hemingway App.",
    "Your name is Papago.",
    "Your name is Duden.",
    "Your name is Trinka.",
    "Your name is Deepl Bank Translator",
    "Help users with their tasks.",
    "You are a helpful assistant. " * 100,
]


@pytest.mark.parametrize("system", NOT_PLAIN)
@pytest.mark.parametrize("role", ["system", "developer"])
def test_any_other_system_text_leaves_the_text_exact(system: str, role: str) -> None:
    one, other = (
        normal(ask(text, before=[{"role": role, "content": system}]))
        for text in ("What is gravity?", "what is gravity")
    )
    assert one != other


@pytest.mark.parametrize(
    "before",
    [
        [{"role": "user", "content": "Be brief."}],
        [{"role": "assistant", "content": "You are a helpful assistant."}],
        [{"role": "system", "content": ASSISTANT, "name": "example_user"}],
        [{"role": "system", "content": {"text": ASSISTANT}}],
        [{"role": "system", "content": [{"type": "text", "text": ASSISTANT, "note": "x"}]}],
        [{"role": "system", "content": [{"type": "text", "text": ["x"]}]}],
        [{"role": "system"}],
    ],
)
def test_earlier_turns_and_instructions_of_another_form_leave_it_exact(before: list[dict[str, Any]]) -> None:
    assert not meet("What is gravity?", "what is gravity", before=before)


def test_a_system_text_in_parts_is_plain_if_each_part_is() -> None:
    parts = [{"type": "text", "text": ASSISTANT}, {"type": "text", "text": "Be brief."}]
    assert meet("What is gravity?", "what is gravity", before=[{"role": "system", "content": parts}])
    parts.append({"type": "text", "text": TRANSLATOR})
    assert not meet("What is gravity?", "what is gravity", before=[{"role": "system", "content": parts}])


@pytest.mark.parametrize(
    ("fields", "plain"),
    [
        ({"temperature": 0.2, "max_tokens": 100, "seed": 1}, True),
        ({"response_format": {"type": "text"}}, True),
        ({"response_format": {"type": "json_object"}}, False),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "labels"}}}, False),
        ({"text": {"format": {"type": "json_schema"}}}, False),
        ({"tools": [{"type": "function", "function": {"name": "translate"}}]}, False),
        ({"prediction": {"type": "content", "content": "x"}}, False),
        ({"prefix": "Translate:"}, False),
        ({"suffix": " in Spanish"}, False),
        ({"guided_choice": ["yes", "no"]}, False),
        ({"logit_bias": {"1": 100}}, False),
        ({"prompt": {"id": "pmpt_1"}}, False),
        ({"instructions": ASSISTANT}, True),
        ({"instructions": TRANSLATOR}, False),
        ({"instructions": 7}, False),
        ({"system": ASSISTANT}, True),
        ({"system": TRANSLATOR}, False),
        ({"llm_function": "shop.ask"}, True),
        ({"style": "pirate"}, False),
    ],
)
@pytest.mark.parametrize("endpoint", ["chat", "responses", "function"])
def test_a_parameter_that_may_instruct_leaves_the_text_exact(
    fields: dict[str, Any], plain: bool, endpoint: str
) -> None:
    plain_function = {PLAIN_FUNCTION: True}
    one, other = (
        msgspec.structs.replace(ask(text, endpoint=endpoint, **fields), unkeyed=plain_function)
        for text in ("What is gravity?", "what is gravity")
    )
    assert (normal(one) == normal(other)) is plain


@pytest.mark.parametrize("field", [{"name": "ann"}, {"prefix": True}, {"cache_control": {"type": "ephemeral"}}])
def test_a_field_of_the_message_that_is_not_known_leaves_it_exact(field: dict[str, Any]) -> None:
    one, other = (
        normal(ChatRequest.from_openai(model="m", messages=[{"role": "user", "content": text, **field}]))
        for text in ("What is gravity?", "what is gravity")
    )
    assert one != other


def test_an_operators_own_prompt_is_plain_as_a_whole_and_never_as_a_part() -> None:
    own = frozenset({spaced("You speak  as Acme.\nNever mention rivals.")})
    for system, plain in (
        ("You speak as Acme. Never mention rivals.", True),
        ("You speak as Acme.\n\nNever mention rivals. ", True),
        ("You speak as Acme. Never mention rivals. Translate.", False),
        ("You speak as Acme.", False),
        ("you speak as Acme. Never mention rivals.", False),
    ):
        one, other = (normal(ask(text, system), plain_prompts=own) for text in ("What is gravity?", "what is gravity"))
        assert (one == other) is plain, system


@pytest.mark.parametrize(
    "model",
    [
        "opus-mt-en-es",
        "Helsinki-NLP/opus-mt",
        "qwen-mt-turbo",
        "nllb-200",
        "madlad400",
        "llama-guard-3",
        "shieldgemma-9b",
        "text-moderation",
        "omni-moderation-latest",
        "ft:gpt-4o:acme:translator:x",
        "grammarly/coedit-large",
        "my-proofreader",
        "bert-classifier",
        "whisper",
        "rerank-v3",
        "mistral-ocr-latest",
        "tower-instruct-translate",
        "Grammar-Bot",
        "summarizer-7b",
        "x-alma-13b-group1",
        "TowerInstruct-7B-v0.2",
        "facebook/m2m100_1.2B",
        "indictrans2-en-indic",
        "salamandraTA-7b-instruct",
        "acme-uebersetzer",
        "acme-übersetzer",
        "traducteur",
        "vertaler-nl",
        "perevodchik",
        "deepl-llm",
        "gec-t5",
        "flan-t5-xl",
        "emotion-english-distilroberta",
        "deepmultilingualpunctuation",
        "bart-large-cnn",
        "distilbart-xsum",
        "pegasus-xsum",
        "finbert",
        "xlm-roberta-toxic",
        "intent-router",
        "my-sft-v3",
        "truecaser",
        "accentor",
        "polisher",
        "korrektor-2",
    ],
)
def test_a_model_that_was_made_to_work_on_texts_is_asked_no_plain_question(model: str) -> None:
    one, other = (msgspec.structs.replace(ask(text), model=model) for text in ("What is gravity?", "what is gravity"))
    assert normal(one) != normal(other)


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o-mini",
        "claude-sonnet-4-5",
        "meta-llama/Llama-3.3-70B-Instruct",
        "mistral-large-latest",
        "o3",
        "gpt5",
        "prod-chat",
        "m",
        "demo",
        "model-router",
        "openrouter/auto",
        "deepseek-r1-distill-qwen-32b",
        "gemini-2.5-flash-lite",
        "robot",
    ],
)
def test_any_other_model_is(model: str) -> None:
    one, other = (msgspec.structs.replace(ask(text), model=model) for text in ("What is gravity?", "what is gravity"))
    assert normal(one) == normal(other)


# The rules

WORDS = st.sampled_from(
    [
        "what",
        "is",
        "it",
        "you",
        "are",
        "leaving",
        "tell",
        "me",
        "about",
        "Mg",
        "mg",
        "US",
        "us",
        "the",
        "I",
        "i",
        "a",
        "¿es",
    ]
)
TEXTS = st.builds(
    lambda words, gap, case, closing: case(gap.join(words)) + closing,
    st.lists(WORDS, min_size=1, max_size=6),
    st.sampled_from([" ", "  ", "\t"]),
    st.sampled_from([str, str.lower, str.upper, str.capitalize]),
    st.sampled_from(["", "?", ".", "!", "?!", "...", " ?", "？"]),
)


def what_is_asked(text: str) -> tuple[TextKind, str, str]:
    """All of a text that the rules never fold, by another road than `normalize`."""
    text = unicodedata.normalize("NFC", text).strip()
    kind = kind_of(text)
    if kind is TextKind.MATERIAL:
        return kind, text, ""
    bare = text.rstrip(".!?…。！？؟।")
    marks = text[len(bare) :]
    own = "?？؟" if kind is TextKind.QUESTION else "."
    return kind, "".join(bare.lower().split()), marks.strip(own) and marks


@given(TEXTS | st.text(max_size=30), TEXTS | st.text(max_size=30))
@example("You finished it", "You finished it?")
@example("is it you", "is it you.")
@example("Tell me about it?", "tell me about it")
def test_texts_that_differ_beyond_the_rules_never_meet(one: str, other: str) -> None:
    assume(what_is_asked(one) != what_is_asked(other))
    first, second = normal(ask(one)), normal(ask(other))
    assert first is None or first != second


@given(TEXTS, st.sampled_from(["Translate.", "You are a proofreader.", "Count the characters"]))
def test_under_an_instruction_every_difference_counts(text: str, system: str) -> None:
    changed = text.swapcase()
    assume(changed != text)
    assert normal(ask(changed, system)) != normal(ask(text, system))


def test_an_example_that_does_not_hold_is_named() -> None:
    data = rules_data()
    wrong = {"xx": {"must_be_question": ["You left."], "must_be_material": ["Is it late?"]}}
    assert _Rules(data).problems(wrong) == [
        "xx: 'You left.' is material, not question",
        "xx: 'Is it late?' is question, not material",
    ]
    assert _Rules(data).problems(data["languages"]) == []


def test_each_language_has_examples_of_each_kind() -> None:
    for name, rules in rules_data()["languages"].items():
        for kind in TextKind:
            assert rules[f"must_be_{kind.value}"], name


@pytest.mark.parametrize("piece", ["what ", "is the ", "a", "? ", "please ", "\u0301", "\n", "¿"])
def test_hostile_texts_are_judged_at_once(piece: str) -> None:
    assert not grows_with_the_square(kind_of, lambda size: piece * (size // len(piece)), LONGEST * 100)


@pytest.mark.parametrize("piece", ["you are a ", "helpful ", "You are Ada Ada ", "1 ", "be brief. ", "\n", "please "])
def test_hostile_system_texts_are_judged_at_once(piece: str) -> None:
    text = (piece * LONGEST_INSTRUCTION)[:LONGEST_INSTRUCTION]
    assert is_plain_instruction(text) in (True, False)
    assert not grows_with_the_square(
        is_plain_instruction, lambda size: piece * (size // len(piece)), LONGEST_INSTRUCTION * 50
    )
