"""Random histories of a cache and its invalidations against a plain model: what each lookup finds is foretold exactly.

Generations begin and end apart, so that invalidations, undos, sweeps, evictions and losses come between. The model
knows when each answer was begun and which invalidations were acknowledged; it knows no sequences, floors or stamps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from core.access.audit import AuditLog
from core.bans.ban import TOMBSTONE_SECONDS
from core.bans.criteria import Criteria
from core.cache.steps import Lead
from core.errors import InvalidationRefused
from core.models import NO_CONTROLS, ChatRequest, Completion, Controls, For
from core.stores.base import Store
from core.stores.memory import MemoryStore
from core.stores.redis.store import RedisStore, patient_client
from tests.fakes import a_body
from tests.invalidation.test_invalidator import HOLD, World, a_world, no_pause

MODELS = ("m1", "m2")
QUESTIONS = ("where is alpha", "where is beta", "where is alpha and beta")
SPELLINGS: tuple[Callable[[str], str], ...] = (str, str.capitalize, lambda text: f"  {text}?")
TTL_SECONDS = 1000.0

Asked = tuple[str, int, int]
"""Model, question, spelling."""


@dataclass(eq=False)
class Generation:
    """One answer: when it was begun (in steps of the history), and what is known of it once it is stored."""

    asked: Asked
    number: int
    began: int
    incarnation: int
    tags: tuple[str, ...]
    key: str
    created_at: float = 0.0

    @property
    def prompt(self) -> str:
        return SPELLINGS[self.asked[2]](QUESTIONS[self.asked[1]])


@dataclass(eq=False)
class Invalidated:
    """One acknowledged invalidation. `selects` is its meaning in the model's own words."""

    id: str
    at: int
    applied_at: float
    selects: Callable[[Generation, Generation], bool]
    state: str
    due_at: float
    hid: bool

    @property
    def is_active(self) -> bool:
        return self.state in ("held", "soft", "sweeping", "swept-at-once")

    @property
    def hides(self) -> bool:
        return self.state not in ("soft", "undone", "lost")


@dataclass(eq=False)
class Aside:
    """A value that another one was stored over while bans were active: an undo may bring it back."""

    is_alias: bool
    place: Any
    value: Generation
    at: int
    waits: bool = False


@dataclass
class Kind:
    """A kind of criteria and its meaning: what it selects of a value, its target, as of now."""

    criteria: Criteria
    selects: Callable[[Generation, Generation], bool]


class History(RuleBasedStateMachine):
    """The rules. A subclass says which store."""

    make_store: Callable[[], tuple[Store, AuditLog]]

    @initialize()
    def begin(self) -> None:
        store, audit = type(self).make_store()
        self.world: World = a_world(store, audit, f"machine-{uuid4().hex}")
        self.now = 0
        self.incarnation = 0
        self.has_record = False
        self.floor = 0
        self.numbers = 0
        self.pending: dict[Asked, tuple[Lead, Generation]] = {}
        self.entries: dict[tuple[str, str], Generation] = {}
        self.aliases: dict[tuple[str, int], Generation] = {}
        self.bans: list[Invalidated] = []
        self.aside: list[Aside] = []

    def teardown(self) -> None:
        if hasattr(self, "world"):
            for lead, _ in self.pending.values():
                lead.abandon()
            self.world.store.close()

    # What the model foretells

    def hidden_by(self, value: Generation, target: Generation, *, soft: bool) -> bool:
        """Whether an entry (or an alias, with another target) may not be served fresh."""
        return any(
            ban.at > value.began and ban.selects(value, target) and (ban.hides or (soft and ban.state == "soft"))
            for ban in self.bans
        )

    def is_served(self, value: Generation, target: Generation) -> bool:
        return (
            self.has_record
            and value.incarnation == self.incarnation
            and not self.hidden_by(value, target, soft=True)
            and self.world.clock() < value.created_at + TTL_SECONDS
        )

    def expected(self, asked: Asked) -> Generation | None:
        """The answer that a lookup of this question finds now."""
        model, question, spelling = asked
        text = SPELLINGS[spelling](QUESTIONS[question])
        entry = self.entries.get((model, text))
        if entry is not None and self.is_served(entry, entry):
            return entry
        alias = self.aliases.get((model, question))
        if alias is None:
            return None
        target = self.entries.get((model, alias.prompt))
        hidden = alias.incarnation != self.incarnation or self.hidden_by(alias, alias, soft=False)
        if target is None or hidden or not self.is_served(target, target):
            return None
        return target

    def may_be_stored(self, generation: Generation) -> bool:
        return (
            self.has_record
            and generation.incarnation == self.incarnation
            and generation.began >= self.floor
            and not any(
                ban.at > generation.began and ban.is_active and ban.selects(generation, generation) for ban in self.bans
            )
        )

    # Requests

    def request(self, asked: Asked) -> ChatRequest:
        text = SPELLINGS[asked[2]](QUESTIONS[asked[1]])
        return ChatRequest.from_openai(model=asked[0], messages=[{"role": "user", "content": text}])

    asked = st.tuples(st.sampled_from(MODELS), st.integers(0, 2), st.integers(0, 2))

    @rule(asked=asked)
    def get(self, asked: Asked) -> None:
        self.check(asked)

    def check(self, asked: Asked) -> None:
        answer = self.world.cache.get(self.request(asked))
        expected = self.expected(asked)
        found = answer.completion.text if answer else None
        assert found == (f"answer {expected.number}" if expected else None)

    @rule(asked=asked, tags=st.sampled_from([(), ("doc:1",), ("doc:1", "doc:2")]))
    def begin_generation(self, asked: Asked, tags: tuple[str, ...]) -> None:
        if asked in self.pending:
            return
        self.now += 1
        expected = self.expected(asked)
        step = self.world.cache.begin(self.request(asked), Controls(tags=tags, ttl=For(TTL_SECONDS)))
        if not isinstance(step, Lead):
            assert expected is not None
            assert step.answer.completion.text == f"answer {expected.number}"
            return
        assert expected is None
        self.has_record = True
        self.numbers += 1
        generation = Generation(asked, self.numbers, self.now, self.incarnation, tags, step.key)
        self.pending[asked] = (step, generation)

    @rule(asked=asked, tags=st.sampled_from([(), ("doc:1", "doc:2")]))
    def answer(self, asked: Asked, tags: tuple[str, ...]) -> None:
        self.begin_generation(asked, tags)
        if asked in self.pending:
            self.end(asked)

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def end_generation(self, data: Any) -> None:
        self.end(data.draw(st.sampled_from(sorted(self.pending))))

    def end(self, asked: Asked) -> None:
        lead, generation = self.pending.pop(asked)
        generation.created_at = self.world.clock()
        answer = lead.finish(Completion(body=a_body(f"answer {generation.number}")))
        assert answer.outcome.stored is self.may_be_stored(generation), answer.outcome.not_stored
        if answer.outcome.stored:
            for is_alias, places, place in (
                (False, self.entries, (asked[0], generation.prompt)),
                (True, self.aliases, (asked[0], asked[1])),
            ):
                self.put_aside(is_alias, place, places.get(place))
                places[place] = generation

    def put_aside(self, is_alias: bool, place: Any, value: Generation | None) -> None:
        if value is None or value.incarnation != self.incarnation:
            return
        # What was stored after the same invalidation takes its place there too.
        self.aside = [
            each
            for each in self.aside
            if (each.is_alias, each.place) != (is_alias, place) or self.sequence(each.value) != self.sequence(value)
        ]
        self.aside.append(Aside(is_alias, place, value, self.now))

    def sequence(self, value: Generation) -> int:
        """The latest invalidation that came before a generation."""
        return max((ban.at for ban in self.bans if ban.at <= value.began), default=0)

    def put_back(self, undone: Invalidated) -> None:
        """What the undone invalidation hid when it was stored over is back, unless another one hides it still.

        It takes the place of no fresh answer while it is not fresh itself; of a soft one, only what waits for it.
        """
        for each in sorted(self.aside, key=lambda each: (each.is_alias, -self.sequence(each.value))):
            value, target = each.value, each.value
            if (each.at < undone.at or not undone.hid) and not each.waits:
                continue
            if each.is_alias:
                target = self.entries.get((each.place[0], value.prompt))
            if not each.waits and not any(
                seen is not None and undone.at > seen.began and undone.selects(seen, seen) for seen in (value, target)
            ):
                continue
            if target is not None and {value.incarnation, target.incarnation} == {self.incarnation}:
                marks = self.is_fresh_there(each)
                if self.hidden_by(value, value, soft=marks) or self.hidden_by(target, target, soft=marks):
                    each.waits = True
                    continue
                if not marks or self.world.clock() < value.created_at + TTL_SECONDS:
                    self.replace(each)
            self.aside.remove(each)

    def is_fresh_there(self, aside: Aside) -> bool:
        """Whether the answer that has taken its place can be served."""
        places: dict[Any, Generation] = self.aliases if aside.is_alias else self.entries
        present = places.get(aside.place)
        return present is not None and self.is_served(present, present)

    def replace(self, aside: Aside) -> None:
        places: dict[Any, Generation] = self.aliases if aside.is_alias else self.entries
        present = places.get(aside.place)
        if present is not None and self.is_older(present, aside.value):
            return
        places[aside.place] = aside.value
        if aside.is_alias and present is not None and present.prompt != aside.value.prompt:
            place = (aside.place[0], present.prompt)
            if self.entries.get(place) is present:
                del self.entries[place]

    def is_older(self, one: Generation, other: Generation) -> bool:
        return one.incarnation != other.incarnation or self.sequence(one) < self.sequence(other)

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def abandon_generation(self, data: Any) -> None:
        asked = data.draw(st.sampled_from(sorted(self.pending)))
        self.pending.pop(asked)[0].abandon()

    # Invalidations

    @rule(data=st.data(), soft=st.sampled_from([False, False, False, True]), hold=st.sampled_from([0.0, 0.0, HOLD]))
    def invalidate(self, data: Any, soft: bool, hold: float) -> None:
        kind = data.draw(st.sampled_from(["model", "keyword", "pattern", "tag", "age", "key", "both", "all"]))
        chosen = self.kind(kind, data)
        done = self.world.invalidator.invalidate(chosen.criteria, actor="machine", soft=soft, hold_seconds=hold)
        self.now += 1
        at_once = kind == "key" and hold == 0 and not soft
        state = "soft" if soft else "swept-at-once" if at_once else "held"
        clock = self.world.clock()
        self.bans.append(Invalidated(done.id, self.now, clock, chosen.selects, state, clock + hold, hid=not soft))
        self.has_record = True
        if at_once:
            for place, entry in list(self.entries.items()):
                if entry.key == chosen.criteria.key:
                    del self.entries[place]

    def kind(self, kind: str, data: Any) -> Kind:
        model = data.draw(st.sampled_from(MODELS))
        match kind:
            case "model":
                return Kind(Criteria(model=model), lambda value, target: value.asked[0] == model)
            case "keyword":
                return Kind(Criteria(keywords=("BETA",)), lambda value, target: "beta" in value.prompt.lower())
            case "pattern":
                return Kind(Criteria(pattern="*alpha"), lambda value, target: value.prompt.endswith("alpha"))
            case "tag":
                return Kind(Criteria(tags=("doc:2", "doc:3")), lambda value, target: "doc:2" in value.tags)
            case "age":
                cutoff = self.world.clock() - data.draw(st.sampled_from([0, 100]))
                return Kind(Criteria(created_before=cutoff), lambda value, target: value.created_at < cutoff)
            case "key":
                asked = data.draw(type(self).asked)
                keyed = self.world.cache.identify(self.request(asked), NO_CONTROLS).keyed
                assert keyed is not None
                key = keyed.identity.key
                return Kind(Criteria(key=key), lambda value, target: value.key == key)
            case "both":
                return Kind(
                    Criteria(model=model, keywords=("alpha",)),
                    lambda value, target: value.asked[0] == model and "alpha" in value.prompt.lower(),
                )
            case _:
                return Kind(Criteria(all=True), lambda value, target: True)

    @precondition(lambda self: self.bans)
    @rule(data=st.data())
    def undo(self, data: Any) -> None:
        ban = data.draw(st.sampled_from(self.bans))
        if ban.state not in ("held", "soft"):
            with pytest.raises(InvalidationRefused):
                self.world.invalidator.undo(ban.id)
            return
        self.world.invalidator.undo(ban.id)
        ban.state = "undone"
        self.put_back(ban)
        for model in MODELS:
            for question in range(len(QUESTIONS)):
                for spelling in range(len(SPELLINGS)):
                    self.check((model, question, spelling))

    # Sweeps

    @rule(batches=st.sampled_from([0, 1, 2, 1000]))
    def sweep(self, batches: int) -> None:
        left = iter(range(batches))
        clock = self.world.clock()
        spent = [
            ban for ban in self.bans if ban.state == "swept-at-once" and ban.applied_at <= clock - TOMBSTONE_SECONDS
        ]
        due = [ban for ban in self.bans if ban.state == "sweeping" or (ban.state == "held" and ban.due_at <= clock)]
        progress = self.world.invalidator.sweep(
            self.world.namespace, should_stop=lambda: next(left, None) is None, pause=no_pause
        )
        for ban in due:
            ban.state = "sweeping"
        for ban in [*spent, *(due if progress.finished else ())]:
            ban.state = "retired"
            self.floor = max(self.floor, ban.at)
        if progress.finished:
            assert {ban.id for ban in due} == set(progress.invalidations)
        self.check_deleted(due, finished=progress.finished)

    def check_deleted(self, due: list[Invalidated], *, finished: bool) -> None:
        """What the swept bans select is gone after a full pass, and whatever is gone they do select."""
        stored = self.world.entries()
        for place, entry in list(self.entries.items()):
            selected = any(ban.at > entry.began and ban.selects(entry, entry) for ban in due)
            left_over = bool(due) and entry.incarnation != self.incarnation
            expired = self.world.clock() >= entry.created_at + TTL_SECONDS
            if bytes.fromhex(entry.key.partition("-")[2]) in stored:
                assert not (finished and (selected or left_over))
            else:
                assert selected or left_over or expired
                del self.entries[place]
        for asked in {generation.asked for generation in self.entries.values()}:
            self.check(asked)

    # Time and mishaps

    @rule(seconds=st.sampled_from([1.0, 60.0, HOLD, HOLD, TTL_SECONDS, TOMBSTONE_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.forward(seconds)

    @precondition(lambda self: self.entries or self.aliases)
    @rule(data=st.data())
    def evict(self, data: Any) -> None:
        where: dict[Any, Generation] = data.draw(
            st.sampled_from([kind for kind in (self.entries, self.aliases) if kind])
        )
        place = data.draw(st.sampled_from(sorted(where)))
        generation = where.pop(place)
        keyed = self.world.cache.identify(self.request(generation.asked), NO_CONTROLS).keyed
        assert keyed is not None
        digest = keyed.identity.exact if where is self.entries else keyed.identity.normalized
        assert digest is not None
        self.forget(self.world.slot.entry(digest))

    def forget(self, name: bytes) -> None:
        if isinstance(self.world.store, MemoryStore):
            self.world.store._cells.pop(name, None)
        else:
            self.world.store._client.delete(name)

    @precondition(lambda self: self.has_record)
    @rule(everything=st.booleans(), is_so=st.sampled_from([False, False, True]))
    def lose(self, everything: bool, is_so: bool) -> None:
        if is_so and everything:
            self.flush()
        elif is_so:
            self.lose_the_record()

    def lose_the_record(self) -> None:
        self.world.lose_record()
        self.has_record = False
        self.incarnation += 1
        self.floor = 0
        for ban in self.bans:
            if ban.is_active:
                ban.state = "lost"

    def flush(self) -> None:
        for digest in self.world.entries():
            self.forget(self.world.slot.entry(digest))
        self.entries.clear()
        self.aliases.clear()
        self.lose_the_record()


def in_memory() -> tuple[Store, AuditLog]:
    return MemoryStore(), AuditLog(None)


@pytest.mark.timeout(900)
def test_histories_in_memory_go_as_foretold():
    check(type("InMemory", (History,), {"make_store": staticmethod(in_memory)}), examples=100)


@pytest.mark.timeout(900)
def test_histories_in_redis_go_as_foretold(redis_url: str):
    def in_redis() -> tuple[Store, AuditLog]:
        return RedisStore(patient_client(redis_url)), AuditLog(None)

    check(type("InRedis", (History,), {"make_store": staticmethod(in_redis)}), examples=50)


def check(machine: type[History], *, examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        ),
    )
