"""Makes the fixture of `tests/stores/test_stored_form.py`: `python -m tests.data.make_store_fixture`.

A private Redis is filled through the services, as applications, operators and workers do it, and every key is dumped.
Beside the dump stands what the code that wrote it read from it. The fixture is what stores out there look like: run
this again only when the stored form, the identity or the normal form changes on purpose, under a new number
(`core.keys.names.FORM`), and replace the files. The oldest server that is supported must write it (Redis 6.2), since no
server restores what a newer one has dumped.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import redis
import zstandard

from core import ChatRequest, Completion, Controls, Criteria, Services, Settings, bootstrap
from core.entries.edits import Edits
from core.metrics.gauges import Sample
from core.models import For
from core.monitoring.alerts import Health
from core.stores.redis.embedded import EmbeddedRedis
from tests.samples import Clock

FOLDER = Path(__file__).parent
DUMP = FOLDER / "store_form_4.jsonl.gz"
EXPECTED = FOLDER / "store_form_4.json"
SHORTEST_MS = 120_000
"""What lives shorter (the lease of a caller that computes) is no part of the fixture."""
LONGEST_BYTES = 1000
"""Longer answers are expected by their digest."""
DAY = 86_400.0

PASSWORD = "How do I reset my online banking password?"
CARD = "How do I activate my new card?"
RULES = [{"role": "system", "content": "You answer for a bank. Be brief."}]
TOOL = {"type": "function", "function": {"name": "rate", "parameters": {"type": "object", "properties": {}}}}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it comes over the wire. `asked`: not only looked at in the end, but asked while it is filled."""

    name: str
    body: dict[str, Any]
    endpoint: str = "chat"
    controls: dict[str, Any] = {}
    asked: bool = True

    @property
    def request(self) -> ChatRequest:
        """The request."""
        request = ChatRequest.from_wire(self.endpoint, self.body)
        assert request is not None
        return request

    def given(self, **more: Any) -> Controls:
        """The controls of the request."""
        given = {**self.controls, **more}
        if "ttl" in given:
            given["ttl"] = For(given["ttl"])
        return Controls(**given)


def chat(name: str, question: str, *, model: str = "gpt-4o-mini", **fields: Any) -> Case:
    """A question to the chat endpoint; fields that are none of a case go into its body."""
    own = {field: fields.pop(field) for field in ("controls", "asked") if field in fields}
    before = fields.pop("before", [])
    return Case(
        name=name,
        body={"model": model, "messages": [*before, {"role": "user", "content": question}], **fields},
        **own,
    )


STREAMED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
ITEMS = [{"role": "user", "content": [{"type": "input_text", "text": "Which papers do I need for a loan?"}]}]

CASES = [
    chat("exact", "What is the capital of France?"),
    chat("normalized", "  what is the  capital of france?", asked=False),
    chat("parameters", "What is the capital of France?", temperature=0, seed=7, max_tokens=50),
    chat("system prompt", "What is the capital of France?", before=RULES),
    chat("history", "And of Italy?", before=[*RULES, {"role": "user", "content": "Hi"}]),
    chat("tools", "Which rate do I get?", tools=[TOOL], tool_choice="none"),
    chat("not ascii", "Wie heißt die Hauptstadt von Österreich? 北京 🙂"),
    chat("code", "Explain `grep -F` in C++ 1.5"),
    Case(
        name="parts of a message",
        body={"model": "gpt-4o-mini", "messages": [{"role": "user", "content": [{"type": "text", "text": "Look"}]}]},
    ),
    chat("large", "Tell me the long story of the bank", model="gpt-4.1"),
    chat("streamed", "How do I order a new card?", **STREAMED),
    chat("streamed and large", "Tell me the long story of the card", model="gpt-4.1", **STREAMED),
    chat("whole after a stream", "How do I order a new card?"),
    Case(name="response", endpoint="responses", body={"model": "gpt-4o-mini", "input": "What is a mortgage?"}),
    Case(name="response of items", endpoint="responses", body={"model": "gpt-4o-mini", "input": ITEMS}),
    Case(
        name="response, streamed",
        endpoint="responses",
        body={"model": "gpt-4o-mini", "input": "What is an overdraft?", "stream": True},
    ),
    Case(name="embedding", endpoint="embeddings", body={"model": "text-embedding-3-small", "input": ["a", "b"]}),
    chat("personal", "What is my balance?", controls={"user": "ann"}),
    chat("personal, another user", "What is my balance?", controls={"user": "bob"}, asked=False),
    chat("another namespace", "What is the capital of France?", controls={"namespace": "desk"}),
    chat("another namespace's own", "Which desk is free?", controls={"namespace": "desk"}),
    chat("another namespace, later", "Is there coffee?", controls={"namespace": "desk"}, asked=False),
    chat("expired", "Who won the match today?", controls={"ttl": 300.0}),
    chat("near, stored", PASSWORD),
    chat("near, judged", "How can I reset the password of my online banking?", asked=False),
    chat("near, unjudged", "How can I reset my password for online banking?", asked=False),
    chat("near, called different", "How could I reset my online banking password?", asked=False),
    chat("near, stored too", CARD),
    chat("near, judged different", "How can I activate my new card?", asked=False),
    chat("near, negated", "How do I not reset my online banking password?", asked=False),
    chat("banned by model", "What is the capital of Spain?", model="gpt-4o"),
    chat("banned by model, streamed", "How do I close my account?", model="gpt-4o", **STREAMED),
    chat("marked stale by tag", "Which fees are there?", controls={"tags": ("doc:fees", "lang:en")}),
    chat("other tags", "Which rates are there?", controls={"tags": ("doc:rates",)}),
    chat("banned by keyword and undone", "How do I freeze my savings?"),
    chat("swept", "What is the capital of Peru?", model="o3-mini"),
    chat("deleted by key", "What is the capital of Chile?"),
    chat("pinned", "When are you open?"),
    chat("edited", "Which branch has a safe?"),
    chat("written by hand", "Who is in charge?", asked=False),
    chat("behind the bypass switch", "Is this on?", controls={"namespace": "closed"}),
    chat("never asked", "What is the capital of Norway?", asked=False),
]
"""All requests that the fixture is about."""


class Canned:
    """A provider whose answers follow from the question. As a judge it approves what is about passwords."""

    name = "canned"
    base_url = "http://provider.test/v1"

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        """The whole answer."""
        question = request.messages[-1]["content"]
        if request.model == "judge":
            token = re.match(r"<(\S+) new question>", question)
            assert token is not None
            verdict = {"token": token[1], "same": "password" in question, "reason": "both ask how"}
            return Completion(body=chat_body("judge", json.dumps(verdict)))
        if request.endpoint == "responses":
            return Completion(body=response_body(request.model, f"An answer to {question!r}"))
        if request.endpoint == "embeddings":
            vectors = [{"object": "embedding", "index": place, "embedding": [0.25, -0.5]} for place in (0, 1)]
            return Completion(
                body={"object": "list", "model": request.model, "data": vectors, "usage": {"prompt_tokens": 2}}
            )
        return Completion(body=chat_body(request.model, text_for(str(question))))

    def stream(self, request: ChatRequest, timeout_seconds: float | None = None) -> Iterator[dict[str, Any]]:
        """The answer in pieces."""
        body = self.complete(request).body
        if request.endpoint == "responses":
            begun = {**body, "status": "in_progress", "output": [], "usage": None}
            events: list[dict[str, Any]] = [
                {"type": "response.created", "response": begun},
                {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "An answer"},
                {"type": "response.completed", "response": body},
            ]
            yield from ({**event, "sequence_number": number} for number, event in enumerate(events))
            return
        common = {name: body[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
        pieces: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": ""}, None)]
        pieces += [({"content": f"{word} "}, None) for word in body["choices"][0]["message"]["content"].split()]
        for delta, reason in [*pieces, ({}, "stop")]:
            yield {**common, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        yield {**common, "choices": [], "usage": body["usage"]}

    def close(self) -> None:
        """There is nothing to close."""


class Absent(Canned):
    """A provider that must not be asked."""

    def complete(self, request: ChatRequest, timeout_seconds: float | None = None) -> Completion:
        """Fails."""
        raise AssertionError("the provider was asked")


def text_for(question: str) -> str:
    """An answer; a long one for a long story."""
    if "long story" not in question:
        return f"An answer to {question!r}."
    return " ".join(f"In the year {1800 + number} it went on, and nobody minded." for number in range(150))


def chat_body(model: str, text: str) -> dict[str, Any]:
    """A chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46},
        "system_fingerprint": None,
    }


def response_body(model: str, text: str) -> dict[str, Any]:
    """A response of the responses API."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": content}
    usage = {"input_tokens": 12, "output_tokens": 34, "total_tokens": 46}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_800_000_000,
        "model": model,
        "status": "completed",
        "output": [message],
        "usage": usage,
    }


def services(url: str, clock: Clock, home: Path, provider: Canned, **settings: Any) -> Services:
    """All services of a process."""
    given: dict[str, Any] = {
        "redis_url": url,
        "home": home,
        "namespace": "shop",
        "strategy": "semantic",
        "semantic": "judge",
        "redis_timeout_seconds": 5.0,
        "hold_seconds": 3600,
    }
    found = bootstrap(Settings(**(given | settings)), provider=provider, clock=clock)
    assert found.semantic is not None
    found.semantic.warm(["shop", "desk", "closed"])
    return found


def ask(built: Services, name: str, **more: Any) -> str:
    """Has a case answered; its readable key."""
    case = next(case for case in CASES if case.name == name)
    if case.body.get("stream"):
        with built.cache.stream(case.request, case.given(**more)) as stream:
            list(stream)
        assert stream.answer is not None
        return stream.answer.key
    return built.cache.complete(case.request, case.given(**more)).key


def fill(url: str, clock: Clock, home: Path) -> dict[str, Any]:
    """Does everything that leaves something in Redis; what was told of each answer before anything was invalidated."""
    judged = {"judge_model": "judge", "judge_deadline_seconds": 30, "judge_sample": 1.0}
    with services(url, clock, home, Canned(), **judged) as first:
        keys = {case.name: ask(first, case.name) for case in CASES if case.asked}
        for name in ("exact", "normalized", "parameters", "large", "response", "near, judged", "near, judged"):
            ask(first, name)
        ask(first, "near, judged different")
        first.cache.complete(CASES[0].request, CASES[0].given(no_store=True))
    clock.forward(600)
    with services(url, clock, home, Canned(), **judged) as second:
        threshold = second.thresholds.current("shop")
        for serve in (0.9, 0.8):
            serving = msgspec.structs.replace(threshold, mode=type(threshold.mode)("serve"), serve=serve)
            second.thresholds.publish("shop", serving, actor="admin", note=f"from {serve} on")
        second.thresholds.roll_back("desk", 0, actor="admin")
        ask(second, "another namespace, later")
        ask(second, "near, unjudged")
        ask(second, "near, called different")
        second.evidence.flush()
        asked = "How could I reset my online banking password?"
        [wrong] = [pair for pair in second.evidence.pairs("shop") if pair.question == asked and pair.served]
        second.evidence.label(wrong.id, False, actor="operator")

        edits = Edits(
            second.cache, second.store, second.audit.by("operator", source="console"), pins=second.pins, clock=clock
        )
        edits.keep_for("shop", keys["edited"], 20 * DAY)
        by_hand = next(case for case in CASES if case.name == "written by hand")
        edits.write(by_hand.request, "Ann is.", by_hand.given(ttl=10 * DAY))
        assert second.pins is not None
        second.pins.pin("shop", keys["pinned"], actor=second.audit.by("operator", source="console"))
        second.switch.turn("closed", True, actor="operator", note="for the fixture")
        second.logins.end("ended-login", seconds=DAY)
        second.alert_board.look(None, Health(workers=0))
        assert second.gauges is not None
        second.gauges.write(Sample(at=clock(), entries=30, used_bytes=1_000_000, namespaces={"shop": 27, "desk": 3}))
        before = answers(second)

        schedules = second.schedules
        assert schedules is not None
        nightly = schedules.add(
            namespace="shop", actor="admin", name="Nightly", older_than_seconds=7 * DAY, daily_at="03:00"
        )
        hourly = schedules.add(
            namespace="desk", actor="admin", name="Hourly", criteria={"model": "o1"}, every_seconds=3600.0, soft=True
        )
        schedules.run_now(hourly.id, actor="admin")
        schedules.pause(nightly.id, actor="admin")

        apply = second.invalidation.invalidate
        # What is swept comes first: a sweep is of all that is due.
        apply(Criteria(namespace="shop", model="o3-mini"), actor="admin", hold_seconds=0)
        second.invalidation.sweep("shop", rest=0.0)
        apply(Criteria(namespace="shop", key=keys["deleted by key"]), actor="admin", hold_seconds=0)
        undone = apply(Criteria(namespace="shop", keywords=("savings", "freeze"), keyword_mode="all"), actor="operator")
        second.invalidation.undo(undone.id, actor="operator")
        held = Criteria(namespace="shop", model="gpt-4o")
        olga = second.audit.by("operator", source="console")
        apply(held, actor=olga, request_id="held-1", preview=second.invalidation.preview(held))
        apply(Criteria(namespace="shop", tags=("doc:fees",)), actor="operator", soft=True, request_id="soft-1")
        apply(Criteria(namespace="desk", pattern="*desk*"), actor="operator", request_id="held-2")
        apply(Criteria(namespace="desk", created_before=clock() - 300), actor="operator", request_id="held-3")
        clock.forward(60)
        ask(second, "exact")
    return before


def answers(built: Services) -> dict[str, Any]:
    """What becomes of each case: the answer as it is served, or why there is none."""
    return {case.name: _answer(built, case) for case in CASES}


def _answer(built: Services, case: Case) -> dict[str, Any]:
    step: Any = built.cache.begin(case.request, case.given())
    if not hasattr(step, "answer"):
        told = {"reason": step.reason, "key": getattr(step, "key", "")}
        step.abandon() if hasattr(step, "abandon") else step.fail(KeyboardInterrupt())
        return told
    answer = step.answer
    found = {
        "outcome": str(answer.outcome),
        "key": answer.key,
        "body": brief(answer.completion.body),
        "age_seconds": answer.age_seconds,
        "ttl_seconds": answer.ttl_seconds,
        "similarity": None if answer.similarity is None else round(answer.similarity, 4),
    }
    if case.body.get("stream"):
        found["chunks"] = brief(list(built.cache.stream(case.request, case.given())))
    return found


def brief(value: Any) -> Any:
    """The value itself or, of a long one, the digest of its JSON, the order of its fields included."""
    encoded = msgspec.json.encode(value)
    return value if len(encoded) <= LONGEST_BYTES else {"bytes": len(encoded), "sha256": sha256(encoded).hexdigest()}


def look(built: Services) -> dict[str, Any]:
    """All that the services tell of what is stored, as plain JSON. The figures come first: looking is counted too."""
    assert built.gauges is not None
    assert built.schedules is not None
    assert built.pins is not None
    totals, ends_at = built.metrics.totals(), built.metrics.summary(60).ends_at
    found = {
        "totals": {f"{cell.namespace}|{cell.model}": told.to_dict() for cell, told in totals.cells.items()},
        "events": totals.events,
        "summary": built.metrics.summary(3600).to_dict(),
        "requests": built.metrics.recent(1000),
        "gauges": [bucket for bucket in built.gauges.series(3600, 60, ends_at=ends_at) if bucket.last is not None],
        "history": built.invalidation.history(),
        "active": built.invalidation.active(),
        "due": built.invalidation.due_namespaces(),
        "schedules": built.schedules.all(),
        "thresholds": {name: built.thresholds.versions(name) for name in built.thresholds.namespaces()},
        "threshold in force": built.thresholds.current("shop"),
        "pins": built.pins.of("shop"),
        "pairs": sorted(built.evidence.pairs("shop"), key=lambda pair: pair.id),
        "report": built.evidence.report("shop"),
        "samples waiting": built.evidence.samples_waiting(),
        "switches": built.switch.all(["shop", "desk", "closed"]),
        "logins": [built.logins.is_ended(name) for name in ("ended-login", "another")],
        "alerts": built.alert_board.look(None, Health(workers=0)),
        "audit": built.audit.records(limit=1000),
        "audit of programs": built.audit.records(limit=1000, machines=True),
        "stored": {
            f"{name} {model or 'any'}": preview(built, Criteria(namespace=name, model=model, all=not model))
            for name in ("shop", "desk", "closed")
            for model in (None, "gpt-4o", "gpt-4o-mini", "o3-mini")
        },
        "answers": answers(built),
    }
    plain = msgspec.to_builtins(found, str_keys=True, enc_hook=lambda value: value.hex())
    return dict(json.loads(msgspec.json.encode(plain)))


def preview(built: Services, criteria: Criteria) -> msgspec.Struct:
    """What an invalidation would hide. The server's order of entries decides on examples, and on the last digits."""
    found = built.invalidation.preview(criteria)
    cost_usd = None if found.cost_usd is None else round(found.cost_usd, 9)
    return msgspec.structs.replace(found, rows=(), cost_usd=cost_usd, refetch_seconds=round(found.refetch_seconds, 9))


def dump(client: redis.Redis) -> list[dict[str, Any]]:
    """Every key: its name, how long it has left in milliseconds (None: for ever), and its value as DUMP has it."""
    rows: list[dict[str, Any]] = []
    for name in sorted(client.scan_iter(count=1000)):
        left = client.pttl(name)
        if 0 <= left < SHORTEST_MS:
            continue
        texts = {"name": name, "dump": client.dump(name)}
        encoded = {each: base64.b64encode(value).decode() for each, value in texts.items()}
        rows.append({**encoded, "ttl_ms": left if left >= 0 else None})
    return rows


def restore(client: redis.Redis, rows: list[dict[str, Any]]) -> None:
    """Puts a dump into an empty server: everything has as long left as when it was dumped."""
    for row in rows:
        client.restore(base64.b64decode(row["name"]), row["ttl_ms"] or 0, base64.b64decode(row["dump"]))


def main() -> None:
    """Writes both files."""
    clock = Clock(float(int(time.time())))
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder), durable=False) as server:
        with redis.Redis.from_url(server.url) as client:
            version = client.info("server")["redis_version"]
            if not version.startswith("6.2."):
                raise SystemExit(f"this is Redis {version}: have 6.2 found first")
            before = fill(server.url, clock, Path(folder))
            rows = dump(client)
        with services(server.url, clock, Path(folder), Absent(), semantic="serve") as built:
            found = look(built)
    expected = {"now": clock(), "redis": version, "zstandard": zstandard.__version__, "before": before, **found}
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    DUMP.write_bytes(gzip.compress(lines.encode(), mtime=0))
    sections = (f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in expected.items())
    EXPECTED.write_text("{\n" + ",\n".join(sections) + "\n}\n")


if __name__ == "__main__":
    main()
