"""JSON lines over HTTP: exported page by page, imported as they come, each bad line named."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from secrets import token_hex

import httpx2
import msgspec
import pytest

from core.access import Role, new_operation_key
from core.entries import Line, imports
from core.operations.admission import STREAMS_AT_A_TIME, STREAMS_OF_A_KEY
from core.operations.operators import SOURCE
from core.operations.transfer import EXAMPLE
from tests.http.running import until
from tests.operations.calling import kind, problem

LINES = {"content-type": "application/jsonl"}


def a_line(question="What is a card?", **fields):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": question}], "answer": "From a file."} | fields


def lines(*given):
    return b"".join(msgspec.json.encode(one) + b"\n" for one in given)


def is_stored(api, question):
    return bool(api.get("/entries", text=question)["items"])


def imported(api, content, **options):
    response = api.send("POST", "/import", content=content, headers=LINES, **options)
    assert response.status_code == 200, response.text
    return response.json()


def test_what_is_imported_is_served_and_what_is_not_is_named_with_its_line(api):
    content = lines(a_line("a"), a_line("b", answer="")) + b"\n{bad\n" + lines(a_line("c", parameters={"model": "x"}))
    done = imported(api, content)
    assert (done["lines"], done["stored"], done["refused"], done["is_whole"]) == (4, 1, 3, True)
    assert [one["line"] for one in done["refusals"]] == [2, 4, 5]
    assert done["refusals"][0] == {"line": 2, "reason": "empty", "why": "It is empty."}
    assert done["refusals"][1]["reason"].startswith("not a line of an import")
    assert api.ask("a") == "hit: From a file."
    records = api.recorded("entry.imported")
    assert [record.details["outcome"] for record in records] == ["ended", "begun"]
    assert (records[0].details["stored"], records[0].source) == (1, SOURCE)


def test_an_export_comes_back_as_it_went(api, namespace):
    for number in range(3):
        api.ask(f"question {number}", f"doc:{number}")
    exported = api.send("GET", "/export")
    assert exported.headers["content-type"] == "application/jsonl"
    told = [msgspec.json.decode(line) for line in exported.content.splitlines()]
    assert [one["messages"][0]["content"] for one in told] == ["question 2", "question 1", "question 0"]
    [one] = api.send("GET", "/export", params={"tag": "doc:1"}).content.splitlines()
    assert b"question 1" in one
    copy = f"{namespace[:50]}-copy"
    assert imported(api, exported.content, params={"namespace": copy})["stored"] == 3
    assert len(api.get("/entries", namespace=copy)["items"]) == 3
    assert api.send("GET", "/export", params={"namespace": "never-used"}).content == b""


def test_a_large_export_and_import_are_streamed_in_pieces(api):
    many = lines(*(a_line(f"question number {number}") for number in range(1000)))

    def pieces():
        for start in range(0, len(many), 7001):
            yield many[start : start + 7001]

    assert imported(api, pieces())["stored"] == 1000
    with api.http.stream("GET", f"{api.url}/export") as response:
        got = list(response.iter_raw())
    assert len(got) > 3
    assert len(b"".join(got).splitlines()) == 1000


def test_lines_are_stored_while_the_rest_is_still_to_come(api):
    def pieces():
        yield lines(a_line("first"))
        until(lambda: is_stored(api, "first"))
        yield lines(a_line("second"))

    assert imported(api, pieces())["stored"] == 2


def test_an_import_ends_when_too_many_lines_are_refused_and_says_where(api, monkeypatch):
    monkeypatch.setattr(imports, "MOST_REFUSALS", 3)
    done = imported(api, b"no line\n" * 100_000 + lines(a_line("late")))
    assert (done["is_whole"], [one["line"] for one in done["refusals"]]) == (False, [1, 2, 3])
    assert api.get("/entries")["items"] == []


def test_a_client_that_leaves_has_what_came_on_record(api):
    class Left(Exception):
        pass

    def pieces():
        yield lines(a_line("first"))
        until(lambda: is_stored(api, "first"))
        raise Left

    with pytest.raises(Left):
        imported(api, pieces())
    until(lambda: [one.details["outcome"] for one in api.recorded("entry.imported")] == ["broken off", "begun"])
    assert api.recorded("entry.imported")[0].details == {"lines": 1, "stored": 1, "outcome": "broken off"}


@pytest.mark.parametrize(
    ("status", "name", "options"),
    [
        (400, "no-json", {}),
        (415, "bad-media-type", {"json": a_line()}),
        (415, "bad-media-type", {"content": b"x", "headers": {"content-type": "text/plain"}}),
        (415, "bad-media-type", {"content": b"x", "headers": LINES | {"content-encoding": "gzip"}}),
        (422, "invalid-input", {"content": b"x", "headers": LINES, "params": {"namespace": "*"}}),
    ],
    ids=str,
)
def test_what_is_no_file_of_lines_is_refused(api, status, name, options):
    assert kind(api.refused(status, "POST", "/import", **options)) == name
    assert api.recorded("entry.imported") == []


def test_a_body_that_stops_coming_is_given_up(start):
    api = start(gateway_body_seconds=1)
    hold = threading.Event()

    def pieces():
        yield lines(a_line("first"))
        hold.wait()
        yield b"\n"

    answers = []
    sending = threading.Thread(
        target=lambda: answers.append(api.send("POST", "/import", content=pieces(), headers=LINES)), daemon=True
    )
    sending.start()
    until(lambda: [one.details["outcome"] for one in api.recorded("entry.imported")] == ["broken off", "begun"])
    hold.set()
    sending.join(30)
    assert kind(problem(answers[0], 408)) == "too-slow"


def test_other_paths_take_no_lines(api):
    found = api.refused(415, "POST", "/invalidations", content=b"{}\n", headers=LINES)
    assert found["field"] == "Content-Type"


@pytest.fixture
def much(start, redis_server):
    """An API with more in its store than the buffers between two sockets hold, and its server."""
    server = redis_server()
    api = start(redis_url=server.url, gateway_body_seconds=2)
    for number in range(300):
        line = msgspec.convert(a_line(f"question number {number}", answer=token_hex(100_000)), Line)
        assert api.services.cache.set(line.request(), line.reply(0.0))
    return api, server


def test_an_export_that_breaks_off_is_seen_to_have_broken_off(much):
    api, server = much
    with api.http.stream("GET", f"{api.url}/export") as response:
        assert response.status_code == 200
        server.kill()
        with pytest.raises(httpx2.RemoteProtocolError):
            response.read()


def test_who_does_not_read_an_export_keeps_nobody_else_from_theirs(much):
    api, _ = much
    with ExitStack() as stuck:
        for _ in range(STREAMS_AT_A_TIME):
            stuck.enter_context(api.http.stream("GET", f"{api.url}/export"))
        with api.http.stream("GET", f"{api.url}/export") as response:
            assert len(response.read().splitlines()) == 300


SLOW = (
    b"POST /encore/v1/import HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
    b"Content-Type: application/jsonl\r\nContent-Length: 1000\r\n\r\n{"
)


def test_imports_that_do_not_come_keep_no_other_key_from_its_export(start, namespace):
    slow, kept_slow = new_operation_key("slow", Role.ADMIN)
    key, kept = new_operation_key("team", Role.ADMIN)
    api = start(key=key, operation_keys=f"{kept_slow.line},{kept.line}")
    with ExitStack() as held:
        for _ in range(STREAMS_AT_A_TIME + 1):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", api.gateway.port)))
            connection.sendall(SLOW % slow.encode())
        until(lambda: len(api.recorded("entry.imported")) >= STREAMS_OF_A_KEY)
        assert api.send("GET", "/export").status_code == 200
        assert len(api.recorded("entry.imported")) == STREAMS_OF_A_KEY


@pytest.mark.parametrize("line", [b"\xff" * 100, b"[" * 5000, b'{"model":"' + b"x" * 100_000, b"null", b'"x"'], ids=len)
def test_a_hostile_line_is_named_and_the_lines_after_it_are_stored(api, line):
    done = imported(api, line + b"\n" + lines(a_line("after it")))
    assert (done["stored"], [one["line"] for one in done["refusals"]]) == (1, [1])


def test_a_key_moves_its_own_namespaces_only_and_a_viewer_imports_nothing(start, namespace):
    own, other = namespace, f"{namespace[:40]}-2"
    key, kept = new_operation_key("team", Role.ADMIN, (own,))
    viewer, kept_viewer = new_operation_key("looker", Role.VIEWER)
    api = start(key=key, operation_keys=f"{kept.line},{kept_viewer.line}")
    content = lines(a_line())
    assert imported(api, content)["stored"] == 1
    api.refused(403, "POST", "/import", content=content, headers=LINES, params={"namespace": other})
    api.refused(403, "GET", "/export", params={"namespace": other})
    assert kind(api.by(viewer).refused(403, "POST", "/import", content=content, headers=LINES)) == "access-denied"
    assert b"From a file." in api.by(viewer).send("GET", "/export").content


def test_the_example_of_the_document_is_a_line(api):
    assert imported(api, EXAMPLE.encode())["stored"] == 1
