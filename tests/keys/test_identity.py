"""What makes two requests the same, and what never does."""

import copy
import inspect
import json
import os
import random
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from openai.resources.chat.completions import Completions
from openai.resources.embeddings import Embeddings
from openai.resources.responses import Responses
from openai.types.chat import ChatCompletionMessage

from core.errors import InvalidInput
from core.keys.identity import Identity, Unkeyable, identify
from core.keys.names import NAMESPACE_PATTERN, Slot, parse_readable_key, readable_key
from core.keys.normalization import TextKind, normalize, normalize_loosely
from core.models import UNKEYED_PARAMETERS, ChatRequest

ROOT = Path(__file__).parents[2]


def ask(content: Any = "What is the capital of France?", **arguments: Any) -> ChatRequest:
    messages = arguments.pop("messages", [{"role": "user", "content": content}])
    return ChatRequest.from_openai(model=arguments.pop("model", "m"), messages=messages, **arguments)


def identity(request: ChatRequest, namespace: str = "default", **options: Any) -> Identity:
    return identify(request, namespace, **options)


@pytest.mark.parametrize(
    ("request_", "prompt"),
    [
        (ask("Hi"), ""),
        (ask(messages=[{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]), "a"),
        (
            ask(
                messages=[
                    {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]},
                    {"role": "developer", "content": "b"},
                    {"role": "user", "content": "c"},
                    {"role": "system", "content": "d"},
                    {"role": "user", "content": "e"},
                ]
            ),
            "a\nb",
        ),
        (ask("Hi", endpoint="responses", instructions="Be short."), "Be short."),
        (ask("Hi", instructions={"not": "a text"}), ""),
        (
            ask(messages=[{"role": "system", "content": "x" * 30 + "y" * 30}, {"role": "user", "content": "b"}]),
            "x" * 20 + "\n" + "y" * 10,
        ),
    ],
)
def test_the_system_prompt_is_all_that_instructs_the_model(request_, prompt):
    assert identity(request_).system_prompt(begin=20, end=10) == prompt


def digests(request: ChatRequest, **options: Any) -> tuple[bytes, bytes | None]:
    found = identity(request, **options)
    return found.exact, found.normalized


# Distinct requests never share a digest, equal ones always do

TEXTS = st.sampled_from(["", "a", "b", "ab", "a b", "A", "é", "e\u0301", "你好", "1", "null", '{"a":1}', "a:b", "\x00"])
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, -0.0, 0.5, 1.0, 2.0]) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=5,
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant"])},
    optional={
        "content": TEXTS
        | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}), max_size=2)
        | VALUES,
        "name": TEXTS,
        "tool_calls": VALUES,
    },
)
REQUESTS = st.builds(
    ChatRequest,
    model=TEXTS,
    messages=st.lists(MESSAGES, max_size=2),
    parameters=st.dictionaries(
        st.sampled_from(["temperature", "top_p", "tools", "seed", "future"]), VALUES, max_size=2
    ),
    endpoint=st.sampled_from(["chat", "responses", "embeddings"]),
    base_url=st.sampled_from(["", "a", "https://example.com/v1"]),
)
SCOPED = st.tuples(REQUESTS, st.sampled_from(["a", "b", "ab"]), st.sampled_from([None, "a", "b"]))


def canonical_json(request: ChatRequest, namespace: str, user: str | None) -> str:
    """The whole request as canonical JSON, written without the code that is under test."""
    parameters = dict(request.parameters)
    for name in ("temperature", "top_p"):
        value = parameters.get(name)
        if isinstance(value, float) and value == int(value):
            parameters[name] = int(value)
    parts = [namespace, user, request.endpoint, request.base_url, request.model, list(request.messages), parameters]
    return json.dumps(parts, sort_keys=True)


@given(SCOPED, SCOPED)
def test_requests_share_a_digest_exactly_when_their_canonical_json_is_equal(
    first: tuple[ChatRequest, str, str | None], second: tuple[ChatRequest, str, str | None]
) -> None:
    one = identify(first[0], first[1], user=first[2])
    other = identify(second[0], second[1], user=second[2])
    assert (one.exact == other.exact) == (canonical_json(*first) == canonical_json(*second))


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[ChatRequest, ChatRequest]:
    """Two requests of one shape: what differs between them is one value somewhere inside."""
    request = draw(REQUESTS)
    field = draw(st.sampled_from(["model", "messages", "parameters", "endpoint", "base_url"]))
    return request, ChatRequest(
        **{name: getattr(request, name) for name in request.__struct_fields__} | {field: getattr(draw(REQUESTS), field)}
    )


@given(neighbours())
def test_requests_that_differ_in_one_place_share_no_digest(pair: tuple[ChatRequest, ChatRequest]) -> None:
    one, other = identity(pair[0]), identity(pair[1])
    same = canonical_json(pair[0], "", None) == canonical_json(pair[1], "", None)
    assert (one.exact == other.exact) == same
    if one.prompt == other.prompt and one.fuzzy == other.fuzzy:
        assert (one.scope == other.scope) == same


def shuffled(value: Any, source: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(name, shuffled(item, source)) for name, item in value.items()]
        source.shuffle(items)
        return dict(items)
    return [shuffled(item, source) for item in value] if isinstance(value, list) else value


@given(REQUESTS, st.integers())
def test_the_order_of_names_never_matters(request: ChatRequest, seed: int) -> None:
    source = random.Random(seed)
    again = ChatRequest(
        **{name: shuffled(copy.deepcopy(getattr(request, name)), source) for name in request.__struct_fields__}
    )
    assert identity(again) == identity(request)


def test_the_order_of_arguments_never_matters() -> None:
    one = ChatRequest.from_openai(model="m", messages=[{"role": "user", "content": "x"}], seed=1, top_p=0.5)
    other = ChatRequest.from_openai(top_p=0.5, seed=1, messages=[{"content": "x", "role": "user"}], model="m")
    assert identity(one) == identity(other)


PROGRAM = """
from core.keys import identify
from core.models import ChatRequest
tools = [{"type": "function", "function": {"name": "f", "parameters": {"b": {"z": 1, "a": 2}, "a": 1}}}]
messages = [{"role": "system", "content": "brief"}, {"role": "user", "content": "Grüße aus Köln?"}]
request = ChatRequest.from_openai(model="m", messages=messages, tools=tools, temperature=0.5, logit_bias={5: 1, 40: 2})
found = identify(request, "default", user="u", buckets=64)
print(found.key, found.scope.hex(), found.normalized.hex())
"""


def test_processes_with_other_hash_seeds_agree() -> None:
    printed = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    # As it was when the form got its number: with another one, raise names.FORM too.
    assert printed[0].split() == [
        "3f-463e087482fc3f5959cb0c1aca5a0aac4add5a5c0040ca314b32a6e554220070",
        "aaedf79ab3f05adc780590bdc737c20b60926e359b29951bd73e6a9d0790c7de",
        "930412ff54703ef9c186742607ebbbc9ee2e01cbfa4d78f4523cb73081137c04",
    ]


# Every parameter is in the key, or on the documented list

CHANGES: dict[str, Any] = {
    "audio": {"voice": "alloy", "format": "mp3"},
    "frequency_penalty": 0.5,
    "function_call": "none",
    "functions": [{"name": "f"}],
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 5,
    "max_tokens": 5,
    "metadata": {"a": "b"},
    "modalities": ["text"],
    "moderation": {"model": "omni"},
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": "x"},
    "presence_penalty": 0.5,
    "prompt_cache_key": "k",
    "prompt_cache_options": {"ttl": "1h"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "response_format": {"type": "json_object"},
    "safety_identifier": "s",
    "seed": 7,
    "service_tier": "flex",
    "stop": ["\n"],
    "store": True,
    "stream": True,
    "stream_options": {"include_usage": True},
    "temperature": 0.5,
    "timeout": 5,
    "tool_choice": "none",
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "top_logprobs": 2,
    "top_p": 0.5,
    "user": "u",
    "verbosity": "low",
    "web_search_options": {},
}
SIGNATURE = set(inspect.signature(Completions.create).parameters) - {"self"}


@pytest.mark.parametrize(
    "name", sorted(SIGNATURE - {"model", "messages", "extra_headers", "extra_query", "extra_body"})
)
def test_every_parameter_of_the_sdk_is_in_the_key_or_on_the_list(name: str) -> None:
    assert name in CHANGES, f"the SDK has a new parameter {name}: say here whether it changes the answer"
    changed = digests(ask(**{name: CHANGES[name]}))
    through_the_body = digests(ask(extra_body={name: CHANGES[name]}))
    assert changed == through_the_body
    if name in UNKEYED_PARAMETERS:
        assert changed == digests(ask())
    else:
        assert set(changed).isdisjoint(digests(ask()))


# Those of the other families that chat completions do not have, and what they have of another form.
OTHER_CHANGES: dict[str, dict[str, Any]] = {
    "responses": {
        "access_programs": ["p"],
        "background": True,
        "background_options": {"a": 1},
        "context_management": [{"type": "compaction"}],
        "conversation": "conv_1",
        "image": {"a": 1},
        "include": ["reasoning.encrypted_content"],
        "instructions": "Be brief.",
        "max_output_tokens": 5,
        "max_tool_calls": 1,
        "previous_response_id": "resp_1",
        "prompt": {"id": "pmpt_1"},
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_object"}},
        "truncation": "auto",
    },
    "embeddings": {"dimensions": 4, "encoding_format": "base64"},
}
OTHER_SIGNATURES = {
    "responses": set(inspect.signature(Responses.create).parameters),
    "embeddings": set(inspect.signature(Embeddings.create).parameters),
}
OTHER_PARAMETERS = [
    (endpoint, name)
    for endpoint, signature in OTHER_SIGNATURES.items()
    for name in sorted(signature - {"self", "model", "input", "extra_headers", "extra_query", "extra_body"})
]


@pytest.mark.parametrize(("endpoint", "name"), OTHER_PARAMETERS)
def test_every_parameter_of_the_other_families_is_in_the_key_or_on_the_list(endpoint: str, name: str) -> None:
    changes = CHANGES | OTHER_CHANGES[endpoint]
    assert name in changes, f"the SDK has a new parameter {name}: say here whether it changes the answer"

    def digests_of(**fields: Any) -> set[bytes]:
        request = ChatRequest.from_wire(endpoint, {"model": "m", "input": "How do I activate my card?", **fields})
        assert request is not None
        return set(digests(request)) - {None}  # what is embedded has no normal form

    changed = digests_of(**{name: changes[name]})
    # What a response's later requests refer to is kept or not, and a body has no timeout of its own.
    if name in UNKEYED_PARAMETERS - {"store", "timeout"}:
        assert changed == digests_of()
    else:
        assert changed.isdisjoint(digests_of())


def test_no_parameter_is_classified_that_is_gone() -> None:
    for endpoint, changes in OTHER_CHANGES.items():
        assert set(changes) <= OTHER_SIGNATURES[endpoint] - SIGNATURE


def test_the_documented_list_names_parameters_of_the_sdk_only() -> None:
    assert UNKEYED_PARAMETERS <= SIGNATURE
    assert set(CHANGES) <= SIGNATURE


def test_a_parameter_nobody_knows_yet_is_in_the_key() -> None:
    assert set(digests(ask(extra_body={"thinking_budget": 5}))).isdisjoint(digests(ask()))
    assert digests(ask(extra_body={"thinking_budget": 5})) != digests(ask(extra_body={"thinking_budget": 6}))


@pytest.mark.parametrize("name", ["X-Encore-TTL", "X-Stainless-Retry-Count", "Traceparent", "X-Request-Id", "Host"])
def test_headers_that_do_not_change_the_answer_are_sent_and_not_in_the_key(name: str) -> None:
    request = ask(extra_headers={name: "1"})
    assert digests(request) == digests(ask())
    assert request.to_openai()["extra_headers"] == {name: "1"}


@pytest.mark.parametrize("name", ["Authorization", "api-key", "OpenAI-Organization", "OpenAI-Beta", "X-Tenant"])
def test_every_other_header_is_in_the_key(name: str) -> None:
    one, other = digests(ask(extra_headers={name: "1"})), digests(ask(extra_headers={name: "2"}))
    assert len({*one, *other, *digests(ask())}) == 6
    assert digests(ask(extra_headers={name.lower(): "1", "Accept": "application/json", "traceparent": "x"})) == one


def test_a_query_is_in_the_key_whether_it_comes_from_the_sdk_or_from_a_url() -> None:
    one, other = (ask(extra_query={"api-version": version}) for version in "12")
    assert len({*digests(one), *digests(other), *digests(ask())}) == 6
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    wire = ChatRequest.from_wire("chat", {"model": "m", "messages": messages}, query={"api-version": "1"})
    assert wire is not None
    assert digests(wire) == digests(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"seed": 1}, {"seed": 1.0}),
        ({"seed": 1}, {"seed": True}),
        ({"seed": 0}, {"seed": False}),
        ({"seed": 1}, {"seed": "1"}),
        ({"seed": 0}, {}),
        ({"n": 1}, {}),
        ({"stop": []}, {}),
        ({"stop": "a"}, {"stop": ["a"]}),
        ({"stop": ["a", "b"]}, {"stop": ["ab"]}),
        ({"stop": ["a", "b"]}, {"stop": ["b", "a"]}),
        ({"temperature": 1}, {"temperature": True}),
        ({"temperature": 0}, {"temperature": 0.1}),
        ({"temperature": 0}, {}),
        ({"tools": [{"a": 1}]}, {"tools": [{"a": 1.0}]}),
        ({"tools": [{"a": None}]}, {"tools": [{}]}),
        ({"logit_bias": {"1": 5}}, {"logit_bias": {"15": 0}}),
        ({"logit_bias": {"1": 1}}, {"logit_bias": {"1": 2}}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "text"}}),
        ({"base_url": "https://a.example/v1"}, {"base_url": "https://b.example/v1"}),
        ({"endpoint": "chat"}, {"endpoint": "responses"}),
        ({"endpoint": "responses"}, {"endpoint": "embeddings"}),
        ({"model": "a"}, {"model": "a "}),
        ({"model": "gpt-4o"}, {"model": "GPT-4o"}),
    ],
)
def test_values_that_are_not_the_same_stay_apart(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert set(digests(ask(**one))).isdisjoint(digests(ask(**other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"temperature": 1}, {"temperature": 1.0}),
        ({"temperature": 0}, {"temperature": -0.0}),
        ({"top_p": 1.0, "presence_penalty": 2, "frequency_penalty": 0.0}, None),
        ({"temperature": None, "tools": None}, {}),
        ({"logit_bias": {50256: -100, 9: 1}}, {"logit_bias": {"9": 1, "50256": -100}}),
        ({"stop": ("a", "b")}, {"stop": ["a", "b"]}),
    ],
)
def test_values_that_are_the_same_on_the_wire_share_a_key(one: dict[str, Any], other: dict[str, Any] | None) -> None:
    if other is None:
        other = {name: int(value) for name, value in one.items()}
    assert digests(ask(**one)) == digests(ask(**other))


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def image(url: str, **fields: Any) -> list[Any]:
    return [text_part("What is this?"), {"type": "image_url", "image_url": {"url": url} | fields}]


CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([("system", "a"), ("user", "x")], [("system", "b"), ("user", "x")]),
        ([("system", "a"), ("user", "x")], [("user", "x")]),
        ([("system", "a"), ("user", "x")], [("developer", "a"), ("user", "x")]),
        ([("user", "a"), ("assistant", "b"), ("user", "x")], [("user", "a"), ("assistant", "c"), ("user", "x")]),
        ([("user", "a"), ("assistant", "b"), ("user", "x")], [("user", "b"), ("assistant", "a"), ("user", "x")]),
        ([("user", "a"), ("user", "b")], [("user", "ab")]),
        ([("user", "a"), ("user", "bc")], [("user", "ab"), ("user", "c")]),
        ([("user", "x")], [("assistant", "x")]),
        ([("user", "x"), ("assistant", "")], [("user", "x")]),
        ([("user", "x")], [("user", [text_part("x")])]),
        ([("user", [text_part("x"), text_part("y")])], [("user", [text_part("xy")])]),
        ([("user", image("data:image/png;base64,AAAA"))], [("user", image("data:image/png;base64,AAAB"))]),
        ([("user", image("https://a.example/1"))], [("user", image("https://a.example/2"))]),
        ([("user", image("https://a.example/1"))], [("user", image("https://a.example/1", detail="high"))]),
        ([("user", "")], [("user", None)]),
    ],
)
def test_every_message_and_every_part_counts(one: list[tuple[str, Any]], other: list[tuple[str, Any]]) -> None:
    first, second = (
        identity(ask(messages=[{"role": role, "content": content} for role, content in messages]))
        for messages in (one, other)
    )
    assert first.exact != second.exact
    assert first.normalized is None or first.normalized != second.normalized


@pytest.mark.parametrize("field", [{"name": "ann"}, {"tool_calls": [CALL]}, {"cache_control": {"type": "ephemeral"}}])
def test_every_field_of_the_last_message_is_in_the_scope(field: dict[str, Any]) -> None:
    assert identity(ask(messages=[{"role": "user", "content": "x"} | field])).scope != identity(ask("x")).scope


def test_only_the_last_user_messages_text_is_outside_the_scope() -> None:
    one, other = identity(ask("a")), identity(ask("b"))
    assert one.scope == other.scope
    assert (one.prompt, one.fuzzy) == ("a", True)
    with_image = identity(ask(image("https://a.example/1")))
    assert (with_image.prompt, with_image.fuzzy, with_image.normalized) == ("", False, None)
    after_a_tool = identity(ask(messages=[{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}]))
    assert (after_a_tool.prompt, after_a_tool.fuzzy, after_a_tool.normalized) == ("", False, None)


def test_exact_means_exact_and_normalized_folds() -> None:
    one, other = identity(ask("What is  gravity?")), identity(ask(" what is gravity "))
    assert one.exact != other.exact
    assert one.normalized == other.normalized
    assert one.normalized not in (one.exact, one.scope)


def test_a_part_of_text_folds_like_a_text() -> None:
    one, other = identity(ask([text_part("What is gravity?")])), identity(ask([text_part("what is gravity")]))
    assert (one.prompt, one.fuzzy) == ("What is gravity?", True)
    assert one.normalized == other.normalized
    assert one.exact != other.exact


def test_objects_of_the_sdk_are_what_they_are_on_the_wire() -> None:
    given = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    message = ChatCompletionMessage.model_validate(given)
    history = [{"role": "user", "content": "a"}, given, {"role": "tool", "tool_call_id": "1", "content": "b"}]
    expected = digests(ask(messages=history))
    assert digests(ask(messages=[history[0], message, history[2]])) == expected
    assert digests(ask(messages=[history[0], given | {"tool_calls": message.tool_calls}, history[2]])) == expected


# Scope

NAMESPACES = st.from_regex(NAMESPACE_PATTERN, fullmatch=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a:b", "c"), ("a", "b:c")),
        (("a", ""), ("", "a")),
        (("a", "bc"), ("ab", "c")),
        (("a/b", "c"), ("a", "b/c")),
        (("default", 'm", "x'), ('default", "m', "x")),
    ],
)
def test_no_text_can_reach_over_the_border_of_its_field(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert identity(ask(model=f"m{one[1]}"), one[0]).exact != identity(ask(model=f"m{other[1]}"), other[0]).exact
    assert identity(ask(), one[0], user=one[1]).exact != identity(ask(), other[0], user=other[1]).exact
    assert identity(ask(one[1], seed=one[0])).exact != identity(ask(other[1], seed=other[0])).exact


def test_users_and_namespaces_never_share() -> None:
    found = [identity(ask(), namespace, user=user) for namespace in ("a", "b") for user in (None, "", "None", "a", "b")]
    assert len({one.exact for one in found} | {one.normalized for one in found}) == 2 * len(found)
    assert len({one.scope for one in found}) == len(found)


@given(NAMESPACES, NAMESPACES, st.integers(0, 255), st.integers(0, 255))
def test_no_slot_begins_like_another(one: str, other: str, bucket: int, another: int) -> None:
    first, second = Slot(one, bucket), Slot(other, another)
    assume((one, bucket) != (other, another))
    assert not first.prefix.startswith(second.prefix)
    assert not second.prefix.startswith(first.prefix)


@pytest.mark.parametrize("namespace", ["", "a b", "a:b", "a{b}", "a}", "*", "é", "a\n", "n" * 65])
def test_a_namespace_that_could_break_a_key_name_is_refused(namespace: str) -> None:
    with pytest.raises(InvalidInput, match="namespace"):
        Slot(namespace, 0)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 255))
def test_names_and_readable_keys_lead_back_to_the_digest(digest: bytes, bucket: int) -> None:
    slot = Slot("a", bucket)
    assert slot.digest(slot.entry(digest)) == digest
    assert slot.entry(digest).startswith(slot.entries)
    assert parse_readable_key(readable_key(bucket, digest)) == (bucket, digest)


@pytest.mark.parametrize("key", ["", "0", "0-", "0-" + "f" * 63, "0-" + "F" * 64, "0-" + "f" * 65, "g-" + "f" * 64])
def test_other_texts_are_not_readable_keys(key: str) -> None:
    assert parse_readable_key(key) is None


def test_an_entry_and_its_alias_share_a_bucket() -> None:
    texts = ["What is gravity?", "what is gravity", " What is  gravity "]
    assert len({identity(ask(text), buckets=256).bucket for text in texts}) == 1
    assert len({identity(ask(f"question {number}"), buckets=16).bucket for number in range(300)}) == 16


# Requests without an identity


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def cyclic() -> Any:
    value: dict[str, Any] = {}
    value["self"] = value
    return value


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"content": "\ud800"}, "unencodable"),
        ({"content": [text_part("\udfff"), text_part("x")]}, "unencodable"),
        ({"seed": "\ud800"}, "unencodable"),
        ({"metadata_": {"\ud800": 1}}, "unencodable"),
        ({"temperature": float("nan")}, "not-a-number"),
        ({"temperature": float("inf")}, "not-a-number"),
        ({"tools": [{"a": [float("-inf")]}]}, "not-a-number"),
        ({"logit_bias": {"1": float("nan")}}, "not-a-number"),
        ({"temperature": 1e300}, "unencodable"),
        ({"seed": 2**64}, "unencodable"),
        ({"tools": cyclic()}, "unencodable"),
        ({"tools": nested(100_000)}, "unencodable"),
        ({"messages": [{"role": "user", "content": nested(100_000)}]}, "unencodable"),
        ({"tools": [object()]}, "unencodable"),
        ({"response_format": ChatCompletionMessage}, "unencodable"),
        ({"tools": {1: "a"}}, "unencodable"),
        ({"logit_bias": [1]}, "unencodable"),
        ({"logit_bias": {"1": "a", 1: 5}}, "unencodable"),
        ({"extra_headers": ["a"]}, "unencodable"),
        ({"extra_headers": {"X-Tenant": object()}}, "unencodable"),
        ({"extra_headers": {1: "a"}}, "unencodable"),
        ({"tools": iter([1])}, "unencodable"),
        ({"content": "x" * 10_000_000}, "too-large"),
        ({"seed": "x" * 10_000_000}, "too-large"),
    ],
)
def test_a_request_without_a_canonical_form_says_why(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unkeyable) as error:
        identity(ask(**arguments))
    assert error.value.reason == reason


@pytest.mark.parametrize("messages", [[3], ["text"], [None], [[{"role": "user"}]], 5, [{"role": "user"}, object()]])
def test_messages_of_another_shape_raise_nothing_else(messages: Any) -> None:
    with pytest.raises(Unkeyable):
        identity(ChatRequest(model="m", messages=messages))


def test_a_request_without_messages_has_an_identity() -> None:
    assert identity(ChatRequest(model="m", messages=[])).exact != identity(ChatRequest(model="n", messages=[])).exact


def test_ten_megabytes_have_an_identity_where_that_is_allowed() -> None:
    text = "x" * 10_000_000
    one, other = (identity(ask(text + end), max_bytes=20_000_000).exact for end in ("a", "b"))
    assert one != other


@given(st.binary(max_size=40).map(lambda data: data.decode("utf-8", "surrogateescape")), VALUES)
def test_anything_has_an_identity_or_is_unkeyable(text: str, value: Any) -> None:
    request = ChatRequest(model="m", messages=[{"role": "user", "content": text}], parameters={"x": value, text: 1})
    try:
        found = identity(request)
    except Unkeyable:
        return
    assert found.prompt == text


@given(st.floats(allow_nan=False, allow_infinity=False) | st.binary(max_size=20))
@example(b"\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00")
def test_what_only_looks_like_an_infinity_is_keyed(value: float | bytes) -> None:
    assert identity(ask(future=value)).exact != identity(ask()).exact


# The normal form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("你好", "再见"),
        ("مرحبا", "وداعا"),
        ("привет", "пока"),
        ("C", "C++"),
        ("C", "C#"),
        ("C++", "C#"),
        ("What is C?", "What is C#?"),
        ("What is 1.5?", "What is 15?"),
        ("-5", "5"),
        ("What is -5 squared", "What is 5 squared"),
        ("Is a<b", "Is a>b"),
        ("a = b", "a == b"),
        ("What is US law?", "What is us law?"),
        ("IT department", "it department"),
        ("grep -F", "grep -f"),
        ("tar --Xfer", "tar --xfer"),
        ("f(X)", "f(x)"),
        ("rename A.txt", "rename a.txt"),
        ("Maße", "Masse"),
        ("STRASSE", "straße"),
        ("x² + 1", "x2 + 1"),
        ("x²", "x2"),
        ("I love 🍎", "I love 🍏"),
        ("solve for variable X", "solve for variable x"),
        ("vitamin K", "vitamin k"),
        ("Convert 5 MW to kW", "Convert 5 mW to kW"),
        ("Convert 5 MHz to Hz", "Convert 5 mHz to Hz"),
        ("Is 1 MBps fast", "Is 1 Mbps fast"),
        ("How many kB in a MB", "How many kb in a MB"),
        ("What is Mg?", "What is mg?"),
        ("What is 5 mHz in Hz", "What is 5 mhz in Hz"),
        ("What is 5!", "What is 5?"),
        ("What is n!", "What is n?"),
        ("What is the meaning of !", "What is the meaning of ?"),
        ("git add .", "git add"),
        ("cd ..", "cd ."),
        ('Is "Hello" a word?', 'Is "hello" a word?'),
        ("Is 'Hello' a word?", "Is 'hello' a word?"),
        ("Is “Hello” a word?", "Is “hello” a word?"),
        ("Correct this: i am", "Correct this: I am"),
        ('How many spaces are in "a  b"?', 'How many spaces are in "a b"?'),
        ("How many capital letters has JavaScript?", "How many capital letters has Javascript?"),
        ("Which is upper case: aB", "Which is upper case: ab"),
        ("if a:\n  b", "if a:\n b"),
        ("line one\nline two", "line one line two"),
        ("a@b.c", "a b c"),
        ("$100", "100"),
        ("50%", "50"),
        ("rock & roll", "rock roll"),
        ("don't", "dont"),
        ("well-known", "well known"),
        ("full Ａ", "full A"),
        ("wait, what", "wait what"),
    ],
)
def test_texts_that_may_mean_something_else_stay_apart(one: str, other: str) -> None:
    assert digests(ask(one))[1] != digests(ask(other))[1]
    for kind in TextKind:
        assert normalize(one, kind) != normalize(other, kind), "folded as far as ever"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is gravity?", "what is gravity"),
        ("What is gravity?", "  What   is\tgravity ? ".replace(" ?", "?")),
        ("What is gravity", "What is gravity??"),
        ("WHAT IS THE CAPITAL OF FRANCE?", "what is the capital of france"),
        ("HOW ARE YOU", "how are you"),
        ("Do you know if I'm late", "do you know if i'm late"),
        ("Is it late", "is it late"),
        ("Was ist in München", "was ist in München"),
        ("Почему он пришёл", "почему он пришёл"),
        ("What is a café", "What is a cafe\u0301"),
        ("WHERE IS THE NEAREST BAKERY", "where is the nearest bakery"),
        ("ما هذا؟", "ما هذا"),
        ("What is\u00a0my address", "What is my address"),
        ("Is it’s fine?", "is it’s fine"),
    ],
)
def test_questions_that_mean_the_same_share_a_normal_form(one: str, other: str) -> None:
    assert normalize(one, TextKind.QUESTION) == normalize(other, TextKind.QUESTION) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Tell me about Sweden", "tell me about sweden"),
        ("Tell me more.", "Tell me  more"),
        ("Explain photosynthesis", "explain photosynthesis."),
        ("请解释重力。", " 请解释重力。 "),
    ],
)
def test_orders_that_mean_the_same_share_a_normal_form(one: str, other: str) -> None:
    assert normalize(one, TextKind.ORDER) == normalize(other, TextKind.ORDER) != ""


@pytest.mark.parametrize("closing", ["!", ".", "?!", "...", "…", "。"])
def test_a_question_keeps_every_mark_but_its_own(closing: str) -> None:
    assert normalize(f"Is it late{closing}", TextKind.QUESTION) == f"is it late{closing}"


@pytest.mark.parametrize("closing", ["?", "?!", "!?", "؟", "？", "!", "...", "…", "。"])
def test_an_order_keeps_every_mark_but_a_full_stop(closing: str) -> None:
    assert normalize(f"Tell me more{closing}", TextKind.ORDER) == f"tell me more{closing}"


@pytest.mark.parametrize("text", ["You  finished it!", "i AM here .", "Hello", "a ", " \t?"])
def test_material_is_itself_but_for_outer_white_space(text: str) -> None:
    assert normalize(text, TextKind.MATERIAL) == text.strip()


@pytest.mark.parametrize("text", ["", " ", "\n\t", "👍", "— —"])
def test_a_question_of_no_words_has_no_normal_form(text: str) -> None:
    assert normalize(text, TextKind.QUESTION) == ""
    assert normalize_loosely(text) == ""


def test_an_empty_text_has_no_normal_form() -> None:
    assert identity(ask(" ")).normalized is None


@given(st.text(), st.sampled_from(TextKind))
@example("Ⅷ\u0345", TextKind.QUESTION)
@example("İstanbul Is Big", TextKind.ORDER)
@example("A B", TextKind.QUESTION)
@example("5!?", TextKind.ORDER)
def test_normalizing_twice_changes_nothing(text: str, kind: TextKind) -> None:
    normal = normalize(text, kind)
    assert normalize(normal, kind) == normal


@given(st.text(), st.sampled_from(TextKind))
def test_canonically_equal_texts_share_a_normal_form(text: str, kind: TextKind) -> None:
    decomposed, composed = unicodedata.normalize("NFD", text), unicodedata.normalize("NFC", text)
    assert normalize(decomposed, kind) == normalize(composed, kind)


@given(st.text(), st.text())
@example("Mg", "mg")
def test_only_case_white_space_and_closing_marks_are_ever_folded(one: str, other: str) -> None:
    def letters(text: str) -> str:
        return "".join(unicodedata.normalize("NFC", text).lower().split()).rstrip(".!?…。！？؟।")

    for kind in (TextKind.QUESTION, TextKind.ORDER):
        if normalize(one, kind) == normalize(other, kind) != "":
            assert letters(one) == letters(other)


def test_stop_words_go_only_where_that_is_asked_for() -> None:
    kind = TextKind.QUESTION
    assert normalize("What is the capital of France", kind) != normalize("what capital france", kind)
    assert normalize("What is the capital of France?", kind, strip_stop_words=True) == "what capital france"
    assert normalize("to be", kind, strip_stop_words=True) == "to be"
    one = identity(ask("Please tell me the capital of Peru"), strip_stop_words=True)
    assert one.normalized == identity(ask("Tell me a capital of Peru."), strip_stop_words=True).normalized
    assert one.normalized != identity(ask("Tell me the capital of Chile"), strip_stop_words=True).normalized
    assert one.normalized != identity(ask("capital peru"), strip_stop_words=True).normalized, "it may be material"
