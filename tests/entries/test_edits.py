"""What an operator changes in entries: TTLs, answers by hand, imports. On both stores."""

from __future__ import annotations

import msgspec
import pytest

from core.access.audit import AuditLog
from core.bans.criteria import Criteria
from core.cache.cache import LLMCache
from core.cache.config import CacheConfig
from core.entries import imports
from core.entries.edits import Edits
from core.entries.listing import EntryFilter, every_page, find_entry
from core.entries.transfer import Line, export
from core.errors import InvalidInput, StoreUnavailable
from core.keys.names import Slot
from core.metrics.reasons import ANOTHER_REQUEST, INVALIDATED
from core.models import Answer, ChatRequest, Completion, Controls, For
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.samples import NOW, Clock


class World:
    """A cache, its edits, and what is on record of them."""

    def __init__(self, store, namespace, clock):
        self.store, self.namespace, self.clock = store, namespace, clock
        self.audit = AuditLog(None, clock=clock)
        self.cache = LLMCache(CacheConfig(namespace=namespace, ttl_jitter=0), store=store, clock=clock)
        self.edits = Edits(self.cache, store, self.audit.by("olga", source="console"), clock=clock)

    def put(self, prompt="What is a card?", answer="A card.", *, seconds=600, **parameters):
        return self.cache.put(request(prompt, **parameters), completion(answer), Controls(ttl=For(seconds)))

    def get(self, prompt="What is a card?", **parameters):
        answer = self.cache.get(request(prompt, **parameters))
        return answer.completion.text if answer else None

    def exported(self):
        return b"".join(export(page).encode() for page in self.pages(self.namespace))

    def pages(self, namespace):
        return every_page(self.store, [Slot(namespace, 0)], EntryFilter())

    def actions(self):
        return [(record.action, record.actor, dict(record.details)) for record in reversed(self.audit.records())]


def request(prompt, **parameters):
    return ChatRequest.from_openai(model="gpt-4o", messages=[{"role": "user", "content": prompt}], **parameters)


def completion(text):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return Completion(body={"object": "chat.completion", "model": "gpt-4o", "choices": [choice]})


def lines(*given):
    return b"\n".join(map(msgspec.json.encode, given))


def a_line(prompt="What is a card?", **fields):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}], "answer": "From a file."} | fields


@pytest.fixture(params=["memory", "redis"])
def world(request, namespace):
    clock = Clock()
    store = (
        MemoryStore(clock=clock)
        if request.param == "memory"
        else RedisStore(patient_client(request.getfixturevalue("redis_url")))
    )
    yield World(store, namespace, clock)
    store.close()


# TTL


@pytest.mark.parametrize("seconds", [60, 86_400])
def test_a_ttl_is_shortened_and_extended_from_now_on(world, seconds):
    key = world.put().key
    world.clock.forward(100)
    edited = world.edits.keep_for(world.namespace, key, seconds)
    assert edited.header.fresh_until == NOW + 100 + seconds
    assert find_entry(world.store, world.namespace, key).entry == edited
    assert edited.header.created_at == NOW
    world.clock.forward(seconds - 1)
    assert world.get() == "A card."
    world.clock.forward(1)
    assert world.get() is None


def test_a_changed_ttl_is_kept_by_the_store_as_long_as_stale_answers_may_be_of_use(world):
    answer = world.put()
    world.edits.keep_for(world.namespace, answer.key, 86_400)
    digest = bytes.fromhex(answer.key[2:])
    kept = world.store.ttl_seconds(Slot(world.namespace, 0), digest)
    assert 86_400 < kept <= 86_400 + world.cache.config.stale_seconds


def test_every_spelling_of_the_question_keeps_the_changed_ttl(world):
    key = world.put().key
    world.edits.keep_for(world.namespace, key, 86_400)
    world.clock.forward(86_399)
    assert world.get("what is a   card") == "A card."
    world.clock.forward(1)
    assert world.get("what is a   card") is None


def test_the_alias_of_another_entry_keeps_its_own_ttl(world):
    first = world.put("What is a card?", seconds=600)
    world.put("what is a card", "Another.", seconds=600)  # takes the alias
    world.edits.keep_for(world.namespace, first.key, 86_400)
    world.clock.forward(1000)
    assert world.get("What is a card?") == "A card."
    assert world.get("what is a CARD".replace("CARD", "Card")) is None


def test_an_edit_is_on_record(world):
    key = world.put().key
    world.edits.keep_for(world.namespace, key, 60)
    assert world.actions() == [("entry.edited", "olga", {"key": key, "seconds_before": 600, "seconds": 60})]


def test_an_invalidation_still_hides_an_entry_whose_ttl_was_extended(world):
    """The entry keeps its own stamp: an edit is no way around an invalidation."""
    key = world.put().key
    undone = world.cache.invalidate(Criteria(pattern="*card*"))
    with pytest.raises(InvalidInput, match="invalidation"):
        world.edits.keep_for(world.namespace, key, 86_400)
    world.cache.invalidator.undo(undone.id, actor="olga")
    world.edits.keep_for(world.namespace, key, 86_400)
    assert world.get() == "A card."
    world.cache.invalidate(Criteria(key=key))
    assert world.get() is None


@pytest.mark.parametrize("seconds", [0, 0.5, -1, 1e12, float("nan"), float("inf")])
def test_a_ttl_has_limits(world, seconds):
    key = world.put().key
    with pytest.raises(InvalidInput, match="ttl"):
        world.edits.keep_for(world.namespace, key, seconds)
    assert world.actions() == []


def test_what_is_not_there_cannot_be_edited(world):
    for key in ("0-" + "0" * 64, "no key"):
        with pytest.raises(InvalidInput, match="key"):
            world.edits.keep_for(world.namespace, key, 60)


class Meddled:
    """A store in which something happens just before a value is replaced."""

    def __init__(self, store, meddle):
        self._store, self._meddle = store, meddle

    def __getattr__(self, name):
        return getattr(self._store, name)

    def replace(self, *arguments, **named):
        meddle, self._meddle = self._meddle, lambda: None
        meddle()
        return self._store.replace(*arguments, **named)


def test_a_newer_answer_is_not_lost_to_an_edit_of_the_older_one(world):
    key = world.put().key
    store = Meddled(world.store, lambda: world.put(answer="A better one."))
    Edits(world.cache, store, world.audit.by("o", source="cli"), clock=world.clock).keep_for(
        world.namespace, key, 86_400
    )
    world.clock.forward(3600)
    assert world.get() == "A better one."


def test_an_invalidation_that_comes_meanwhile_wins_over_the_edit(world):
    key = world.put().key
    store = Meddled(world.store, lambda: world.cache.invalidate(Criteria(key=key)))
    edits = Edits(world.cache, store, world.audit.by("o", source="cli"), clock=world.clock)
    with pytest.raises(InvalidInput, match="invalidation"):
        edits.keep_for(world.namespace, key, 86_400)
    assert world.get() is None
    assert "invalidation" in world.actions()[-1][2]["outcome"]


def test_what_cannot_be_put_on_record_is_not_done(world, monkeypatch):
    key = world.put().key

    def refuse(record):
        raise StoreUnavailable("gone")

    monkeypatch.setattr(world.audit, "append", refuse)
    for edit in (
        lambda: world.edits.keep_for(world.namespace, key, 5),
        lambda: world.edits.write(request("new"), "text", Controls()),
        lambda: world.edits.import_lines(lines(a_line("new")), world.namespace),
    ):
        with pytest.raises(StoreUnavailable):
            edit()
    assert find_entry(world.store, world.namespace, key).entry.header.fresh_until == NOW + 600
    assert world.get("new") is None


# Answers by hand


def test_a_written_answer_is_served_to_just_that_request(world):
    answer = world.edits.write(request("Who?", temperature=0.2), "We.", Controls(ttl=For(60)))
    assert isinstance(answer, Answer)
    assert world.get("Who?", temperature=0.2) == "We."
    assert world.get("Who?") is None
    [(action, actor, details)] = world.actions()
    assert (action, actor) == ("entry.written", "olga")
    assert "Who" not in str(details)
    assert "We." not in str(details)


@pytest.mark.parametrize(
    ("prompt", "text", "reason"), [("Who?", "", "empty"), ("What is my balance?", "Nothing.", "no-user")]
)
def test_the_rules_of_storing_hold_for_written_answers(world, prompt, text, reason):
    assert world.edits.write(request(prompt), text, Controls()) == reason
    assert world.actions()[-1][2]["outcome"] == f"not stored: {reason}"
    assert world.get(prompt) is None


def test_an_answer_is_written_at_the_key_of_its_request_and_at_no_other(world):
    line = msgspec.convert(a_line("Who?", parameters={"temperature": 0.2}, tags=["doc:1"]), Line)
    key = world.cache.identify(request("Who?", temperature=0.2)).keyed.identity.key
    stored = world.edits.write_at(key, line, world.namespace)
    assert (stored.key, world.get("Who?", temperature=0.2)) == (key, "From a file.")
    [(action, _, details)] = world.actions()
    assert (action, details["key"]) == ("entry.written", key)
    assert find_entry(world.store, world.namespace, key).entry.tags == ("doc:1",)
    other = world.put("Another?").key
    with pytest.raises(InvalidInput, match=f"this request has another one: {key}"):
        world.edits.write_at(other, line, world.namespace)
    assert world.get("Another?") == "A card."


def test_what_may_not_be_stored_is_not_written_at_its_key_either(world):
    personal = msgspec.convert(a_line("What is my balance?"), Line)
    assert world.edits.write_at("0-" + "0" * 64, personal, world.namespace) == "no-user"
    key = world.put("Who?").key
    for wrong in ({"answer": ""}, {"ttl_seconds": 0}):
        line = msgspec.convert(a_line("Who?", **wrong), Line)
        assert world.edits.write_at(key, line, world.namespace) in ("empty", "no-store")
    with pytest.raises(InvalidInput, match="key"):
        world.edits.write_at("no key", msgspec.convert(a_line(), Line), world.namespace)
    assert world.get("Who?") == "A card."


# Imports


def test_lines_are_stored_and_the_others_told_with_their_reason(world):
    done = world.edits.import_lines(
        lines(a_line("a"), a_line("b", answer=""), {"model": "x"}, a_line("c", parameters={"model": "x"})),
        world.namespace,
    )
    assert (done.lines, done.stored, done.refused) == (4, 1, 3)
    assert [refusal.line for refusal in done.refusals] == [2, 3, 4]
    assert done.refusals[0].reason == "empty"
    assert world.get("a") == "From a file."
    assert [details["outcome"] for _, _, details in world.actions()] == ["begun", "ended"]
    assert world.actions()[-1][2]["stored"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"parameters": {"self": 1}},
        {"parameters": {"cls": 1}},
        {"parameters": {"arguments": 1, "": 2}},
        {"parameters": {"tools": [{"type": []}]}},
        {"parameters": {"logit_bias": [1]}},
        {"parameters": {"n": "two"}},
        {"parameters": {"seed": 10**18}, "model": "m" * 70_000},
        {"model": "a\nb"},
        {"messages": [{}]},
        {"messages": [{"role": [], "content": {}}]},
        {"endpoint": "\u0000"},
        {"answer": None, "completion": {"choices": [{"message": []}]}},
        {"answer": None, "completion": {"choices": 5, "usage": []}},
        {"answer": None, "completion": {"model": ["m"], "usage": {"prompt_tokens": "x"}}},
        {"tags": [""]},
        {"user": ""},
        {"ttl_seconds": -1},
        {"ttl_seconds": 1e300},
        {"key": "0-" + "0" * 64, "namespace": "*"},
        {"created_at": 1e300, "key": "x"},
        {"created_at": -1e300, "fresh_until": 1e300},
        {"fresh_until": -1},
        {"cost_usd": 1e308},
    ],
    ids=str,
)
def test_a_bad_line_is_named_and_the_lines_after_it_are_stored(world, bad):
    done = world.edits.import_lines(lines({**a_line("b"), **bad}, a_line("after it")), world.namespace)
    assert world.get("after it") == "From a file."
    assert [refusal.line for refusal in done.refusals] in ([1], [])
    assert done.stored == 2 - len(done.refusals)


def test_exported_entries_come_back_fresh_no_longer_than_before(world):
    world.put(seconds=600)
    text = world.exported()
    world.clock.forward(100)
    other = f"{world.namespace[:40]}-copy"
    assert world.edits.import_lines(text, other).stored == 1
    [[copy]] = world.pages(other)
    assert copy.entry.header.fresh_until == NOW + 600
    world.clock.forward(500)
    assert world.edits.import_lines(text, other).refusals[0].reason == "no-store"


def test_an_exported_answer_is_not_taken_for_the_answer_to_a_simpler_request(world):
    """An entry does not keep the parameters and system prompt of its request: a line that lacks them is refused."""
    world.put(temperature=0.2)
    text = world.exported()
    done = world.edits.import_lines(text, world.namespace)
    assert (done.stored, done.refusals[0].reason) == (0, ANOTHER_REQUEST)
    completed = msgspec.json.decode(text) | {"parameters": {"temperature": 0.2}}
    assert world.edits.import_lines(lines(completed), world.namespace).stored == 1


def test_an_answer_that_was_invalidated_after_it_was_exported_stays_out(world):
    world.put()
    text = world.exported()
    world.clock.forward(1)
    world.cache.invalidate(Criteria(pattern="*card*"))
    world.clock.forward(1)
    assert world.edits.import_lines(text, world.namespace).refusals[0].reason == INVALIDATED
    assert world.get() is None


def test_an_answer_of_a_user_who_was_to_be_forgotten_stays_out(world):
    world.put("How do I activate a card?", user="ann")
    text = lines(msgspec.json.decode(world.exported()) | {"user": "ann"})
    world.clock.forward(1)
    world.cache.invalidator.invalidate_by_user("ann")
    world.clock.forward(1)
    assert world.edits.import_lines(text, world.namespace).refusals[0].reason == INVALIDATED


def test_an_invalidation_that_does_not_match_or_came_before_keeps_nothing_out(world):
    world.cache.invalidate(Criteria(pattern="*card*"))
    world.clock.forward(1)
    world.put()
    text = world.exported()
    world.clock.forward(1)
    world.cache.invalidate(Criteria(pattern="*another*"))
    assert world.edits.import_lines(text, world.namespace).stored == 1


def test_every_refusal_is_told_until_there_are_too_many_and_then_no_more_is_read(world, monkeypatch):
    monkeypatch.setattr(imports, "MOST_REFUSALS", 3)
    good = lines(a_line("a"))
    done = world.edits.import_lines(b"no line\n" * 2 + good, world.namespace)
    assert (done.lines, done.stored, done.is_whole) == (3, 1, True)
    done = world.edits.import_lines(b"no line\n\n" * 5 + lines(a_line("b")), world.namespace)
    assert ([refusal.line for refusal in done.refusals], done.lines, done.is_whole) == ([1, 3, 5], 3, False)
    assert world.get("b") is None


def test_lines_are_stored_as_they_come(world):
    text = lines(a_line("a"), a_line("b"))
    with world.edits.importing(world.namespace) as importing:
        importing.feed(text[:-5])
        assert world.get("a") == "From a file."
        assert world.get("b") is None
        importing.feed(text[-5:])
        done = importing.end()
    assert (done.lines, done.stored, world.get("b")) == (2, 2, "From a file.")


def test_an_import_that_breaks_off_is_on_record_with_what_it_stored(world):
    def break_off():
        with world.edits.importing(world.namespace) as importing:
            importing.feed(lines(a_line("a"), a_line("b")))
            raise ConnectionError

    with pytest.raises(ConnectionError):
        break_off()
    assert world.actions()[-1][2] == {"lines": 1, "stored": 1, "outcome": "broken off"}


@pytest.mark.parametrize("namespace", ["", "a b", "*", "x" * 65, "a/b/c"])
def test_nothing_is_imported_into_what_is_no_namespace(world, namespace):
    with pytest.raises(InvalidInput, match="namespace"):
        world.edits.import_lines(lines(a_line()), namespace)
    assert world.actions() == []


def test_a_line_with_nothing_but_a_request_is_a_request_with_its_policy(world):
    line = msgspec.convert(a_line("What is a card?"), Line)
    assert world.edits.import_lines(lines(line), world.namespace).stored == 1
    assert world.get() == "From a file."


def test_an_answer_that_is_written_over_another_keeps_its_tags_unless_others_are_given(world):
    asked = request("What is a card?")
    world.cache.put(asked, completion("A tree."), Controls(ttl=For(600), tags=("doc:1",)))
    key = world.edits.write(asked, "A card.", Controls(namespace=world.namespace)).key
    assert find_entry(world.store, world.namespace, key).entry.tags == ("doc:1",)
    world.edits.write(asked, "A card.", Controls(namespace=world.namespace, tags=("doc:2",)))
    assert find_entry(world.store, world.namespace, key).entry.tags == ("doc:2",)


def test_an_answer_that_is_written_over_another_does_not_have_its_hits(world):
    key = world.put().key
    for _ in range(20):
        world.get()
    hits = world.cache.metrics.hits
    world.cache.metrics.flush()
    assert find_entry(world.store, world.namespace, key, hits=hits).hits.total == 20
    world.edits.write(request("What is a card?"), "A card.", Controls(namespace=world.namespace))
    assert find_entry(world.store, world.namespace, key, hits=hits).hits.total == 0
