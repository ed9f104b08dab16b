"""Whatever a stranger can send costs time in proportion to its length.

Every function that sees the bytes of a caller or of a provider is listed here, and its processor time is compared at
three sizes, over texts that make patterns, splitters and comparisons go back and begin again.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import combinations, product
from pathlib import Path

import msgspec
import pytest

from core.bans import Criteria
from core.bans.prefilter import required_substrings
from core.cache.config import CacheConfig
from core.cache.preparation import Preparation
from core.demo.answers import answer as demo_answer
from core.demo.judge import verdict
from core.demo.model import DemoProvider, model_name
from core.demo.replay import read_questions
from core.entries.nearest import _likeness, _words
from core.entries.transfer import LineReader, read_line
from core.errors import CacheError, IncompleteStream
from core.http.addresses import ProviderAddress
from core.http.callers import Callers
from core.http.collector import read_whole
from core.http.entrance import Entrance
from core.http.protocol import _OFFER
from core.inbound.controls import controls_from_headers, controls_from_object
from core.inbound.reading import Target, decode_json, is_deeper, read
from core.inbound.senders import request_id_in
from core.keys import TextKind, kind_of, normalize, pack, parse_readable_key, spaced
from core.keys.certainty import certainty
from core.keys.identity import identify
from core.keys.parts import parts_of
from core.keys.phrases import SENTENCE_END, words_of
from core.keys.plain import is_plain_function, is_plain_instruction
from core.keys.reach import reach_of
from core.keys.spelling import (
    _hides_in_code,
    _in_any_text,
    _in_one_width,
    _without_emoji,
    _without_selectors,
    respell,
    respell_cautiously,
    with_mark_joined,
    without_opening_marks,
)
from core.models import NO_CONTROLS, ChatRequest, Completion
from core.policy import TTLPolicy, not_stored_reason
from core.policy.cacheability import PolicyLimits
from core.policy.dialects import meaning_of, searches, takes_one_temperature
from core.policy.languages import languages
from core.policy.pointing import asks_for_code, points
from core.semantic.conversations.completion import complete
from core.semantic.conversations.references import WORD
from core.semantic.conversations.turns import Turn, sentences, shortened
from core.semantic.embedding import WordLlamaEmbedder
from core.semantic.guards.checks import MAX_CHARACTERS_COMPARED, check, check_each
from core.semantic.guards.data import codes
from core.semantic.guards.language import language
from core.semantic.guards.letters import fold_letters
from core.semantic.guards.orders import order_in
from core.semantic.guards.places import cut
from core.semantic.guards.remainder import compare as compare_questions
from core.semantic.guards.spoken import spoken
from core.semantic.guards.wording import Wording
from core.semantic.judge.prompt import Candidate, build_messages, dictates_verdict
from core.semantic.judge.verdict import read_verdict
from core.semantic.results import Case
from core.settings import Settings
from core.text import (
    fold,
    host_name,
    is_address,
    is_stream_safe,
    looks_secret,
    masked,
    nfc,
    nfkc,
    printable,
    redacted,
    to_csv,
    to_json_lines,
)
from core.wire import (
    EventReader,
    answer_text,
    assemble,
    assemble_response,
    notes_of,
    readable,
    repeats_caller,
    split,
    split_response,
)
from pages.components.display.answers import pieces
from pages.components.display.text import literal, one_line, plain, visible
from pages.components.playground.comparison import compare
from tests.growth import cost

ROOT = Path(__file__).parents[2]
TARGET = Target("chat", "https://provider.example")
SIZES = (500, 2_000, 8_000)
SLACK = 3
"""So many times what a proportional cost would be: a square is 4 times it at each step, a cube 16 times."""
NOTICED_SECONDS = 0.0003


def request(text: str) -> ChatRequest:
    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": text}])


def completion(text: str) -> dict[str, object]:
    message = {"role": "assistant", "content": text}
    return {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def streamed(text: str) -> dict[str, object]:
    parts = [text[start : start + 40] for start in range(0, len(text), 40)]
    words = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in parts]
    return assemble([*words, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}])


def called(text: str, *, by_id: bool = False) -> dict[str, object]:
    """A stream of as many tool calls as the text has letters, each in two fragments."""
    calls = [{"id": f"call_{number}"} | ({} if by_id else {"index": number}) for number in range(len(text))]
    first = [{**call, "function": {"name": "f", "arguments": "{"}} for call in calls]
    second = [{**call, "function": {"arguments": "}"}} for call in calls]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": part}}]} for part in (first, second)]
    return assemble([*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}])


def chosen(text: str) -> dict[str, object]:
    """A stream of as many choices as the text has letters, and of as many reports of usage."""
    ends = [{"index": number, "delta": {"content": "a"}, "finish_reason": "stop"} for number in range(len(text))]
    reports = [{"choices": [], "usage": {"total_tokens": 1}}] * len(text)
    return assemble([{"choices": ends}, *reports], choices=len(text))


def response(text: str) -> dict[str, object]:
    part = {"type": "output_text", "text": text}
    return {"object": "response", "status": "completed", "output": [{"type": "message", "content": [part]}]}


def fed(text: str, size: int = 7) -> None:
    reader = EventReader()
    data = text.encode("utf-8", "replace")
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])


def encoded(text: str) -> bytes:
    return text.encode("latin-1", "replace")


def selected(text: str) -> None:
    header = type("Header", (), {"digest": b"", "target": None, "model": "m", "created_at": 0.0})()
    for fields in ({"keywords": ("aab", "a b")}, {"pattern": "*a*a*b"}, {"pattern": "*[a]*a?*b*"}):
        criteria = Criteria(**fields)
        criteria.matches(header, text, ())
        required_substrings(criteria)


CALLERS = Callers(Settings())
ENTRANCE = Entrance(None, Settings(), "encore-1")
OTHER_LETTERS = str.maketrans("abcdefghABCDEFGH", "qrstuvwxQRSTUVWX")
EMBEDDER = WordLlamaEmbedder()
PREPARATION = Preparation(CacheConfig(), TTLPolicy())
JUDGED = '{"token": "t", "same": true, "reason": '
"""What begins like a verdict."""

KNOWN = [language(code) for code in codes()]
"""The languages of the guards."""

SETTINGS = "reads what the operator has set or typed, which is short"
WRITTEN_HERE = "reads what this project or Redis wrote, or names of at most some hundred characters"
NO_TEXT = "looks at single characters, or only names a type"

LOOKING: dict[str, tuple[Callable[[str], object], ...] | str] = {
    # With patterns
    "core/access/audit.py": WRITTEN_HERE,
    "core/access/keys.py": SETTINGS,
    "core/access/logins.py": SETTINGS,
    "core/bans/criteria.py": (selected,),
    "core/bans/prefilter.py": (selected,),
    "core/bans/record.py": WRITTEN_HERE,
    "core/cache/bypass.py": SETTINGS,
    "core/cli/formats.py": SETTINGS,
    "core/demo/answers.py": (partial(demo_answer, variation=0),),
    "core/demo/arithmetic.py": (partial(demo_answer, variation=0),),
    "core/demo/judge.py": (lambda text: verdict([{"content": f"<{text}"}]),),
    "core/demo/model.py": (model_name, lambda text: DemoProvider(latency_scale=0).complete(request(text))),
    "core/demo/units.py": (partial(demo_answer, variation=0),),
    "core/doctor/redis.py": WRITTEN_HERE,
    "core/entries/nearest.py": (
        _words,
        lambda text: _likeness(text, text[1:]),
        lambda text: _likeness(text.replace("a", "a "), text.replace("a", " a")),
    ),
    "core/http/callers.py": (lambda text: CALLERS.identify({"authorization": text, "x-api-key": text}),),
    "core/inbound/senders.py": (lambda text: request_id_in({"x-request-id": text}),),
    "core/invalidation/definition.py": SETTINGS,
    "core/invalidation/whole.py": WRITTEN_HERE,
    "core/monitoring/deploy_marks.py": SETTINGS,
    "core/namespaces/labels.py": SETTINGS,
    "core/namespaces/naming.py": WRITTEN_HERE,
    "core/inbound/controls.py": (
        lambda text: controls_from_headers({"cache-control": text}),
        lambda text: controls_from_headers({"x-encore-tags": text}),
        lambda text: controls_from_headers({"x-encore-namespace": text}),
        lambda text: controls_from_object({"tags": text.split("a"), text: 1}),
    ),
    "core/http/collector.py": (lambda text: read_whole(text.encode("utf-8", "replace")),),
    "core/http/addresses.py": (lambda text: ProviderAddress("https://a.example/v1").url(f"/{text}", text),),
    "core/http/connection.py": WRITTEN_HERE,
    "core/http/entrance.py": (
        lambda text: ENTRANCE.refusal("GET", "http", {b"host": encoded(text), b"origin": b"http://" + encoded(text)}),
        lambda text: ENTRANCE.refusal("POST", "http", {b"host": b"localhost", b"via": encoded(text)}),
    ),
    "core/http/protocol.py": (lambda text: _OFFER.sub(b"x", b"\nupgrade:" + encoded(text)),),
    "core/inbound/reading.py": (
        lambda text: decode_json(text.encode("utf-8", "replace")),
        lambda text: decode_json(b'{"a":' + text.encode("utf-8", "replace")),
        lambda text: is_deeper(100, text.encode("utf-8", "replace"), None),
        lambda text: read(TARGET, text.replace("a", "a=1&"), {"accept": text}, msgspec.json.encode({"model": text})),
    ),
    "core/invalidation/active.py": WRITTEN_HERE,
    "core/invalidation/history.py": SETTINGS,
    "core/invalidation/preview.py": SETTINGS,
    "core/invalidation/schedules.py": SETTINGS,
    "core/keys/certainty.py": tuple(partial(certainty.__wrapped__, kind=kind) for kind in TextKind),
    "core/keys/identity.py": (
        lambda text: identify(request(text), "n"),
        lambda text: pack(identify(request(text), "n").parts),
        lambda text: parts_of(identify(request(text), "n").parts),
    ),
    "core/keys/names.py": (parse_readable_key,),
    "core/keys/normalization.py": tuple(
        partial(normalize, kind=kind, strip_stop_words=strips) for kind in TextKind for strips in (False, True)
    ),
    "core/keys/phrases.py": (words_of, SENTENCE_END.split),
    "core/keys/plain.py": (kind_of, is_plain_instruction, spaced),
    "core/keys/spelling.py": (
        respell,
        without_opening_marks,
        *(partial(with_mark_joined, kind=kind) for kind in TextKind),
        *(partial(respell_cautiously, kind=kind) for kind in TextKind),
        _in_any_text,
        _without_emoji,
        _in_one_width,
        _without_selectors,
        _hides_in_code,
    ),
    "core/keys/surroundings.py": WRITTEN_HERE,
    "core/keys/reach.py": (lambda text: is_plain_function(reach_of(partial(print, text))),),
    "core/metrics/request_log.py": WRITTEN_HERE,
    "core/policy/dialects.py": (
        lambda text: searches(text, {text: {text: text}}),
        lambda text: takes_one_temperature(text, {}),
        lambda text: takes_one_temperature(f"gpt-5.{text}", {}),
        meaning_of,
    ),
    "core/policy/languages.py": (languages().understands,),
    "core/policy/matching.py": (lambda text: TTLPolicy().explain(text),),
    "core/policy/pointing.py": (points, asks_for_code, lambda text: points(f"who was the {text}")),
    "core/policy/ttl.py": (
        lambda text: TTLPolicy().explain(text),
        lambda text: TTLPolicy().explain(f"what is my {text} today"),
    ),
    "core/semantic/guards/orders.py": (order_in,),
    "core/semantic/guards/places.py": (
        lambda text: cut(text, text[1:]),
        lambda text: cut(f"{text} a", f"b {text}"),
        lambda text: cut(text, text.translate(OTHER_LETTERS)),
    ),
    "core/semantic/guards/spoken.py": (spoken,),
    "core/semantic/guards/remainder.py": (
        lambda text: compare_questions(text[:12_000], text[1:12_000]),
        lambda text: compare_questions(f"{text[:4000]} a {text[4000:8000]}", f"b {text[:8000]}"),
    ),
    "core/semantic/conversations/completion.py": (
        lambda text: complete([Turn(True, text), Turn(False, text)], "And what about the second one?").text,
        lambda text: complete([Turn(True, "Name two"), Turn(False, "1. Rome\n2. Paris")], text).text,
    ),
    "core/semantic/conversations/references.py": (WORD.findall,),
    "core/semantic/conversations/turns.py": (
        sentences,
        lambda text: shortened([("user", text), ("assistant", text)], text),
    ),
    "core/semantic/guards/language.py": (lambda text: [list(one.cut(text[:300])) for one in KNOWN],),
    "core/semantic/guards/letters.py": (fold_letters,),
    "core/semantic/guards/numbers.py": (
        lambda text: [Wording(text[:MAX_CHARACTERS_COMPARED], one).numbers for one in KNOWN],
    ),
    "core/semantic/guards/tokens.py": (lambda text: [Wording(text, one).tokens for one in KNOWN],),
    "core/semantic/guards/wording.py": (
        lambda text: [
            getattr(Wording(text[:MAX_CHARACTERS_COMPARED], KNOWN[0]), name) for name in ("identifiers", "numeronyms")
        ],
        lambda text: check(text[:MAX_CHARACTERS_COMPARED], text[1:MAX_CHARACTERS_COMPARED]),
        lambda text: check(text[:MAX_CHARACTERS_COMPARED], text[:MAX_CHARACTERS_COMPARED].translate(OTHER_LETTERS)),
        lambda text: check_each(f"{text} a", f"b {text}"),
    ),
    "core/semantic/judge/prompt.py": (
        dictates_verdict,
        lambda text: build_messages(
            Case(namespace="n", question=text, history=(text,)), [Candidate(question=text, answer=text)]
        ),
    ),
    "core/semantic/judge/verdict.py": (
        lambda text: read_verdict(text, "t"),
        lambda text: read_verdict(f"t {text}", "t"),
        lambda text: read_verdict(f"<think>{text}</think>", "t"),
        lambda text: read_verdict(f"```{text}```", "t"),
        lambda text: read_verdict(JUDGED + msgspec.json.encode(text).decode() + "}", "t"),
    ),
    "core/settings/access.py": SETTINGS,
    "core/settings/environment.py": SETTINGS,
    "core/settings/fields.py": SETTINGS,
    "core/settings/gateway.py": SETTINGS,
    "core/settings/mending.py": SETTINGS,
    "core/settings/provider.py": SETTINGS,
    "core/settings/semantic.py": SETTINGS,
    "core/settings/unknown.py": SETTINGS,
    "core/semantic/quality/thresholds.py": SETTINGS,
    "core/stores/redis/embedded.py": WRITTEN_HERE,
    "core/stores/redis/failures.py": WRITTEN_HERE,
    "core/stores/redis/rights.py": WRITTEN_HERE,
    "core/text/hosts.py": (host_name, is_address),
    "core/text/forms.py": (nfc, nfkc, fold, is_stream_safe),
    "core/text/printable.py": (lambda text: printable(text, len(text)), lambda text: printable(text, 200)),
    "core/text/redaction.py": (masked, redacted, looks_secret),
    "core/wire/assembly.py": (streamed,),
    "core/wire/chat.py": (lambda text: split(completion(text), include_usage=True),),
    "core/wire/events.py": (
        fed,
        partial(fed, size=1_000_000),
        lambda text: fed("data: " + text.replace("a", "\ndata:")),
    ),
    "core/wire/repeats.py": (
        lambda text: notes_of({"metadata": {text: [text]}}, {"x-title": text, "authorization": text}),
        lambda text: repeats_caller([{"x": text, text: 1}], notes_of({"user": text[1:] + "b"}, {"baggage": text})),
    ),
    "pages/components/data/view.py": SETTINGS,
    "pages/components/display/answers.py": (pieces,),
    "pages/components/display/text.py": (visible, one_line, literal, plain),
    "pages/components/invalidations/linked.py": SETTINGS,
    "pages/components/playground/comparison.py": (
        lambda text: compare(text, text[1:] + "b"),
        lambda text: compare(text.replace("a", "a "), text.replace("a", " a") + "b a b a"),
    ),
    "pages/components/playground/transcript.py": SETTINGS,
    "pages/components/server/serving.py": WRITTEN_HERE,
    "pages/components/shell/namespace_choice.py": SETTINGS,
    # Without patterns
    "core/cache/preparation.py": (lambda text: PREPARATION.prepare(request(text), NO_CONTROLS),),
    "core/demo/replay.py": (lambda text: list(read_questions([text])),),
    "core/entries/transfer.py": (
        lambda text: list(LineReader().feed(text.encode("utf-8", "replace"))),
        lambda text: read_line(text.encode("utf-8", "replace")),
    ),
    "core/models.py": (lambda text: Completion(body=completion(text)).text,),
    "core/policy/cacheability.py": (lambda text: not_stored_reason(completion(text), request(text), PolicyLimits()),),
    "core/semantic/embedding/embedders.py": (EMBEDDER.objection, lambda text: EMBEDDER.embed([text[:4_000]])),
    "core/text/export.py": (lambda text: to_csv(["a"], [[text]]), lambda text: to_json_lines([{"a": text}])),
    "core/wire/answers.py": (lambda text: answer_text(completion(text)), lambda text: readable(response(text))),
    "core/wire/responses.py": (lambda text: assemble_response(split_response(response(text))),),
}
"""Every module that looks into texts, with its functions of one text; or why no stranger's text gets there."""

ATOMS = (
    *(
        " ",
        "\n",
        "\t",
        "\r\n",
        "\n ",
        " \n",
        "`",
        "``` ",
        "`\n",
        "~",
        "[",
        "{",
        "(",
        '"',
        "'",
        "<",
        "=",
        "\\",
        "|",
        "*",
    ),
    *("a", "A", "1", "é", "漢", "_", "-", "/", ".", ",", ":", "a ", "A ", "a b ", "1 ", "+ ", "a.", "a_", "a-", "a'"),
    *("1,", "1.", "1:", "1,111", "-1 ", "U.", "k8s ", "www.", "http://", "&a=1", "%", '"a', '","', "data:a\n\n"),
    *(
        "not ",
        "my ",
        "today ",
        "reply ",
        "ignore ",
        "same ",
        "as ",
        "system ",
        "one hundred ",
        "don't ",
        "x@",
        "İ",
        "Σ",
    ),
    *("\u0301", "\u0301\u0316", "\u0f73", "\uff9e\u0316", "\u0316e", "\u05bc\u05b0", "\u200d", "👩\u200d", "ﷺ", "ß"),
)
ENDS = (("reply", "x"), ("what is ", "'s x"), ('"', "\n"), ("x", "\n```"))
WRAPPED = (" ", "\n", "a", "`", "1 ")
DISTINCT = ["".join(letters) for letters in product("abcdefgh", repeat=5)]


def apart(form: str, size: int) -> str:
    """Words that all differ, each written as in `form`."""
    words = (form.format(word, word.capitalize()) for word in DISTINCT)
    return "".join(up_to(words, size))


def up_to(words: Iterable[str], size: int) -> Iterator[str]:
    for word in words:
        size -= len(word)
        if size < 0:
            return
        yield word


TEXTS: dict[str, Callable[[int], str]] = {
    **{repr(atom): lambda size, atom=atom: atom * (size // len(atom)) for atom in ATOMS},
    **{
        f"{first!r}+{atom!r}+{last!r}": lambda size, a=atom, b=first, c=last: b + a * (size // len(a)) + c
        for atom in WRAPPED
        for first, last in ENDS
    },
    **{
        form: partial(apart, form)
        for form in ("{0} ", "{1} {0} ", "{1}-{0}-", "{0}_a ", "{0}(), ", '"{0}":1,', "x={0}&", "a1{0} ", "not {0} ")
    },
}
"""How a text of about so many characters is made."""

IN_NUMBER = (called, partial(called, by_id=True), chosen)
"""What is made of as many parts as a text has letters, whichever they are."""

FUNCTIONS = [
    pytest.param(function, id=f"{module}-{number}")
    for module, functions in LOOKING.items()
    if not isinstance(functions, str)
    for number, function in enumerate(functions)
]


def quietly(function: Callable[[str], object], text: str) -> None:
    # A refusal is an answer too; how a text is refused is tested elsewhere.
    with contextlib.suppress(CacheError, IncompleteStream, msgspec.MsgspecError, UnicodeEncodeError, ValueError):
        function(text)


def grows(function: Callable[[str], object], make: Callable[[int], str]) -> str:
    """What the function costs where that grows faster than the text, else nothing; in processor time of this thread."""
    call = partial(quietly, function)
    # Measured again before it counts: the first time something may be loaded, or the machine does something else.
    pairs, costs = list(combinations(SIZES, 2)), {}
    for _ in range(3):
        costs = {size: cost(call, make(size), runs=1) for size in SIZES}
        pairs = [
            (short, long)
            for short, long in pairs
            if costs[long] > SLACK * long / short * max(costs[short], NOTICED_SECONDS)
        ]
        if not pairs:
            return ""
    return "; ".join(f"{costs[short]:.4f} s of {short}, {costs[long]:.4f} s of {long}" for short, long in pairs)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_cost_of_a_text_grows_with_its_length_alone(function: Callable[[str], object]):
    assert not {name: grown for name, make in TEXTS.items() if (grown := grows(function, make))}


@pytest.mark.parametrize("function", IN_NUMBER)
def test_the_cost_of_parts_grows_with_their_number_alone(function: Callable[[str], object]):
    assert not grows(function, lambda size: "a" * size * 2)


def test_what_grows_faster_is_seen():
    def squares(text: str) -> int:
        return sum(text.count("b", place) for place in range(0, len(text), 2))

    def waits_for_the_cube(text: str) -> object:
        return [squares(text) for _ in range(0, len(text), 100)]

    assert grows(squares, lambda size: "a" * size * 4)
    assert grows(waits_for_the_cube, lambda size: "a" * size)
    assert not grows(str.split, lambda size: "a " * size)


def looks_into_texts(path: Path) -> bool:
    """Whether a module imports what compiles patterns, aligns texts or normalizes them."""
    looking = {"re", "fnmatch", "difflib", "glob", "shlex", "textwrap", "unicodedata", "tokenize"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names) if looking & {alias.name for alias in names}:
                return True
            case ast.ImportFrom(module=str(module), level=0) if module in looking:
                return True
    return False


def test_every_module_that_looks_into_texts_is_in_the_list():
    modules = {
        path.relative_to(ROOT).as_posix()
        for folder in ("core", "workers", "pages")
        for path in (ROOT / folder).rglob("*.py")
    }
    looking = {module for module in modules if looks_into_texts(ROOT / module)}
    assert looking <= LOOKING.keys()
    assert LOOKING.keys() <= modules
