"""Who is let in to the operations API: programs of this machine, or with a key; web pages never. And which bodies."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
from contextlib import ExitStack, nullcontext
from typing import Any

import click.testing
import msgspec
import pytest

from core.access import Role, new_operation_key
from core.bootstrap import bootstrap
from core.cli import cli
from core.operations import BELOW_A_PATH, Operations
from core.operations.admission import AT_A_TIME, BODIES_AT_A_TIME, DEEPEST, MOST_JSON_BYTES
from core.operations.problems import Refused
from core.settings import Settings
from core.wire.fields import OPENAI
from tests.http.running import PATIENCE_SECONDS, ROOT, until
from tests.operations.calling import kind, problem
from tests.ports import free_port
from tests.samples import operation_key

KEY, KEPT = operation_key("wiki", Role.OPERATOR)
OTHER, _ = operation_key("other", Role.OPERATOR)
WITH_KEY = {"operation_keys": KEPT.line}
BY_KEY = {"Authorization": f"Bearer {KEY}"}
SITE = "https://chat.example.org"
PASSED = [
    {"Forwarded": "for=1.2.3.4"},
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Forwarded-Proto": "https"},
    {"X-Forwarded-Host": "localhost"},
    {"X-Real-IP": "127.0.0.1"},
    {"Via": "1.1 proxy"},
    {"CF-Connecting-IP": "127.0.0.1"},
    {"X-Auth-Request-Email": "anna@example.org"},
    {"Host": "encore.example.org"},
    {"Host": "10.0.0.5"},
    {"Host": "localhost.example.org"},
]
PAGES = [
    {"Origin": SITE},
    {"Origin": "null"},
    {"Origin": "http://localhost:3000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "same-origin"},  # a name of the page's own may lead here
]


def named(headers: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in headers.items())


# Without keys


def test_a_program_of_this_machine_needs_no_key_and_is_called_local(api):
    done = api.post("/invalidations", {"criteria": {"tags": ["doc:1"]}})["invalidations"][0]
    assert done["actor"] == "local"
    assert api.get("/invalidations")["items"][0]["actor"] == "local"


@pytest.mark.parametrize("headers", PASSED, ids=named)
def test_without_keys_nothing_that_came_through_a_proxy_is_answered(api, headers):
    assert kind(api.refused(403, "GET", "/openapi.json", headers=headers)) == "not-from-here"


@pytest.mark.parametrize("headers", PASSED, ids=named)
def test_with_keys_the_key_decides(start, headers):
    api = start(**WITH_KEY)
    assert api.send("GET", "/openapi.json", headers=headers | BY_KEY).status_code == 200
    assert kind(api.refused(401, "GET", "/openapi.json", headers=headers)) == "no-key"


def test_what_proxies_add_is_known_from_the_table_of_headers():
    lines = [line for line in OPENAI.headers if line.proxy]
    assert {"forwarded", "via", "x-forwarded-*", "x-real-ip"} <= {name for line in lines for name in line.names}


def scope(client: str = "127.0.0.1", **more: Any) -> dict[str, Any]:
    return {"type": "http", "client": (client, 5000), "headers": [], "http_version": "1.1", **more}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (scope(), True),
        (scope("::1"), True),
        (scope("10.0.0.5"), False),
        (scope("::ffff:10.0.0.5"), False),
        (scope(client="testclient"), False),
        ({**scope(), "client": None}, False),
        (scope(http_version="1.0"), False),
        (scope(**{BELOW_A_PATH: True}), False),
    ],
)
def test_without_keys_other_machines_and_what_was_passed_on_are_not_answered(given, expected):
    with bootstrap(Settings(home="/nonexistent")) as services:
        operations = Operations(services)
        with nullcontext() if expected else pytest.raises(Refused, match="request"):
            assert operations.operator(given, {"host": "localhost"}).name == "local"


def test_what_came_below_the_path_of_a_proxy_needs_a_key(start):
    without, with_key = start(gateway_root_path="/llm"), start(gateway_root_path="/llm", **WITH_KEY)
    path = "/llm/encore/v1/openapi.json"
    assert kind(problem(without.http.get(without.gateway.root + path), 403)) == "not-from-here"
    assert with_key.http.get(with_key.gateway.root + path, headers=BY_KEY).status_code == 200


# Keys


@pytest.mark.parametrize(
    "given",
    [
        None,
        "Bearer",
        f"Bearer {OTHER}",
        f"Bearer {KEY[:-1]}",
        f"Bearer {KEPT.digest}",
        f"Basic {KEY}",
        "Bearer caller-key",
        KEY,
    ],
    ids=["none", "no key", "another key", "a key cut short", "its hash", "basic", "a caller's key", "the key alone"],
)
def test_no_other_key_opens_it(start, given):
    api = start(gateway_keys="caller-key", openai_api_key="sk-operator", **WITH_KEY)
    headers = {} if given is None else {"Authorization": given}
    refused = api.send("GET", "/invalidations", headers=headers)
    assert kind(problem(refused, 401)) == "no-key"
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert KEY not in refused.text


def test_a_key_of_the_api_is_no_callers_key(start):
    api = start(gateway_keys="caller-key", openai_api_key="sk-operator", **WITH_KEY)
    asked = api.http.post(f"{api.gateway.url}/chat/completions", headers=BY_KEY, json={"model": "m", "messages": []})
    assert asked.status_code == 401


def test_every_change_is_recorded_with_the_name_of_the_key(start):
    api = start(key=KEY, **WITH_KEY)
    api.post("/invalidations", {"criteria": {"tags": ["doc:1"]}})
    assert api.get("/invalidations", actor="wiki", find="doc:1")["items"][0]["actor"] == "wiki"


# Web pages


@pytest.mark.parametrize("headers", PAGES, ids=named)
@pytest.mark.parametrize("with_key", [False, True])
def test_no_web_page_is_answered_whatever_it_knows(start, headers, with_key):
    settings = {"gateway_origins": SITE} | (WITH_KEY if with_key else {})
    api = start(key=KEY if with_key else None, **settings)
    assert kind(api.refused(403, "GET", "/invalidations", headers=headers)) == "web-page"
    body = {"criteria": {"all": True}}
    assert kind(api.refused(403, "POST", "/invalidations", headers=headers, json=body)) == "web-page"
    assert api.services.invalidation.active(api.services.settings.namespace) == []


def test_no_preflight_is_answered(start):
    api = start(gateway_origins=SITE)
    headers = {"Origin": SITE, "Access-Control-Request-Method": "POST"}
    assert kind(api.refused(403, "OPTIONS", "/invalidations", headers=headers)) == "web-page"
    assert api.http.options(f"{api.gateway.url}/models", headers=headers).status_code == 204


def test_what_is_answered_is_kept_nowhere_and_is_no_script(api):
    for answer in (api.send("GET", "/openapi.json"), api.send("GET", "/nothing"), api.send("DELETE", "/invalidations")):
        assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")


# Rates


def test_a_key_may_call_so_often_a_minute_over_all_processes(start):
    one, other = (new_operation_key(name, Role.VIEWER) for name in ("one", "other"))
    keys = {"operation_keys": f"{one[1].line},{other[1].line}", "operation_rate": 3}
    first, second = start(key=one[0], **keys), start(key=one[0], **keys)
    answers = [api.send("GET", "/openapi.json") for api in (first, second, first, second, first)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]  # a minute begins with the first
    for answer in answers[3:]:
        assert kind(problem(answer, 429)) == "too-often"
        assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert second.by(other[0]).send("GET", "/openapi.json").status_code == 200


def test_without_redis_what_needs_none_is_answered_and_the_rest_says_so(start, redis_server):
    server = redis_server()
    api = start(redis_url=server.url)
    assert api.send("GET", "/openapi.json").status_code == 200
    server.kill()
    assert api.send("GET", "/openapi.json").status_code == 200
    refused = api.send("POST", "/invalidations", json={"criteria": {"tags": ["doc:1"]}})
    assert kind(problem(refused, 503)) == "store-unavailable"
    assert int(refused.headers["retry-after"]) >= 1
    server.start()
    assert api.post("/invalidations", {"criteria": {"tags": ["doc:1"]}})["applied"]


# Bodies


@pytest.mark.parametrize(
    ("status", "headers", "content"),
    [
        (415, {}, b"{}"),
        (415, {"Content-Type": "text/plain"}, b"{}"),
        (415, {"Content-Type": "application/x-www-form-urlencoded"}, b"a=b"),
        (415, {"Content-Type": "application/json; charset=latin-1"}, b"{}"),
        (415, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"{}"),
        (400, {"Content-Type": "application/json"}, b"{"),
        (400, {"Content-Type": "application/json"}, b"\xff"),
        (400, {"Content-Type": "application/json"}, b'{"hold_seconds": NaN}'),
        (400, {"Content-Type": "application/json"}, b"[" * 100_000),
        (400, {"Content-Type": "application/json"}, b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1)),
        (400, {"Content-Type": "application/json"}, b'{"a":' * 40 + b"1" + b"}" * 40),
        (422, {"Content-Type": "application/json"}, b"[" * DEEPEST + b"]" * DEEPEST),
        (422, {"Content-Type": "application/json; charset=UTF-8"}, b"[]"),
        (422, {"Content-Type": "application/json"}, b"null"),
        (400, {"Content-Type": "application/json"}, b'{"criteria": {"tags": ["\\ud800"]}}'),
        (422, {"Content-Type": "application/json"}, b'{"criteria": {"all": 1}}'),
        (422, {"Content-Type": "application/json"}, b'{"criteria": {"tags": "doc:1"}}'),
        (422, {"Content-Type": "application/json"}, b'{"criteria": {"tags": ["a"]}, "criteria": {}}'),
        (400, {"Content-Type": "application/json"}, b'{"criteria": {"tags": ["a"]}, "hold_seconds": 1e400}'),
        (422, {"Content-Type": "application/json"}, b'{"criteria": {"created_before": ' + b"9" * 400 + b"}}"),
    ],
)
def test_a_body_that_cannot_be_used_is_refused_before_anything_is_done(api, status, headers, content):
    refused = problem(api.send("POST", "/invalidations", headers=headers, content=content), status)
    assert len(json.dumps(refused)) < 5000
    assert api.services.invalidation.active(api.services.settings.namespace) == []


def test_a_large_body_is_refused_and_not_read(api):
    headers = {"Content-Type": "application/json"}
    too_much = b" " * (MOST_JSON_BYTES + 1)
    refused = api.send("POST", "/invalidations", headers=headers, content=too_much)
    assert kind(problem(refused, 413)) == "too-large"
    chunked = api.send("POST", "/invalidations", headers=headers, content=iter([too_much]))
    assert kind(problem(chunked, 413)) == "too-large"


def test_what_is_wrong_is_named_and_never_repeated(api):
    canary = "canary-7f3a"
    body = {"criteria": {"tags": [canary * 50], "keyword_mode": canary}, "mode": canary, "hold_seconds": canary}
    refused = api.send("POST", "/invalidations", json=body)
    found = problem(refused, 422)
    assert {one["field"] for one in found["fields"]} == {
        *("criteria.tags.0", "criteria.keyword_mode", "mode", "hold_seconds")
    }
    assert found["field"] == found["fields"][0]["field"]
    assert canary not in refused.text


# The rest


def test_what_is_unforeseen_says_nothing_of_what_it_was_about(start, api, caplog):
    class Failing:
        def past(self, *_: object, **__: object) -> None:
            raise RuntimeError("canary-7f3a")

    broken = start(services=msgspec.structs.replace(api.services, invalidation=Failing()))
    refused = broken.send("GET", "/invalidations")
    assert kind(problem(refused, 500)) == "failed"
    assert "canary" not in refused.text
    until(lambda: "RuntimeError" in caplog.text)
    assert "canary" not in caplog.text


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/invalidations/", "/openapi.yaml"])
def test_other_paths_are_no_paths(api, path):
    assert kind(api.refused(404, "GET", path)) == "not-found"


def test_other_methods_are_named_with_those_that_there_are(api):
    for method in ("DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE"):
        refused = api.send(method, "/invalidations")
        assert refused.status_code == 405
        assert refused.headers["allow"] == "GET, POST"


def test_a_method_that_a_path_has_not_is_said_whatever_the_body_is(api):
    for method in ("TRACE", "PUT", "PROPFIND", "GET"):
        for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/jsonl"}):
            refused = api.send(method, "/import", headers=headers, content=b"{" if headers else None)
            assert kind(problem(refused, 405)) == "bad-method"
            assert refused.headers["allow"] == "POST"
    assert kind(api.refused(405, "DELETE", "/invalidations", content=b"{")) == "bad-method"
    assert kind(api.refused(404, "POST", "/nothing", content=b"{")) == "not-found"


def test_what_is_wrong_with_lines_is_said_with_a_way_out_for_lines(api):
    assert "JSON lines" in api.refused(400, "POST", "/import")["way_out"]
    assert "application/jsonl" in api.refused(415, "POST", "/import", content=b"{}")["way_out"]


@pytest.mark.parametrize(
    "path",
    ["/encore%2fv1/stats", "/encore/%76%31/stats", "/encore%2Fv1%2Fstats", "/%65ncore/v1/stats", "/encore/v1%2fstats"],
)
def test_a_path_that_is_spelled_otherwise_is_no_path(start, path):
    for root in ("", "/llm"):
        api = start(key=KEY, gateway_root_path=root, **WITH_KEY)
        for method in ("GET", "POST"):
            request = f"{method} {root}{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\r\n"
            with socket.create_connection(("127.0.0.1", api.gateway.port)) as connection:
                connection.sendall(request.encode())
                answer = connection.recv(10_000)
            assert answer.startswith(b"HTTP/1.1 404 ")
            assert b"application/problem+json" in answer


def test_the_type_of_a_problem_is_explained_where_it_leads(api):
    found = api.refused(404, "GET", "/nothing")
    explained = api.http.get(api.gateway.root + found["type"]).json()
    assert (explained["title"], explained["way_out"]) == (found["title"], found["way_out"])


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error(api, caplog):
    with socket.create_connection(("127.0.0.1", api.gateway.port)) as connection:
        connection.sendall(
            b"POST /encore/v1/invalidations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
    assert api.get("/invalidations", namespace=api.services.settings.namespace)["items"] == []
    assert "failed" not in caplog.text


def test_a_gateway_that_nobody_operates_loads_nothing_for_it():
    script = "import sys, core.http.gateway; sys.exit(str({'fastapi', 'limits'} & set(sys.modules) or ''))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stderr.strip() == ""


def test_with_a_port_of_its_own_it_is_on_that_port_alone(start_process, start, namespace):
    port = free_port()
    gateway = start_process(ENCORE_OPERATIONS_PORT=str(port), ENCORE_NAMESPACE=namespace).ready()
    http = start().http
    told = http.get(f"http://127.0.0.1:{port}/encore/v1/openapi.json")
    assert told.status_code == 200
    assert http.get(f"{gateway.root}/encore/v1/openapi.json").status_code == 404
    assert http.get(f"http://127.0.0.1:{port}/v1/models").status_code == 404
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.said


def test_a_port_that_is_taken_ends_the_gateway_with_its_words(start_process):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gateway = start_process(ENCORE_OPERATIONS_PORT=str(port))
        assert gateway.process.wait(PATIENCE_SECONDS) != 0
    assert "address already in use" in gateway.said


# Made on the command line


def test_the_command_line_makes_a_key_and_the_line_to_configure(start, namespace):
    runner = click.testing.CliRunner()
    made = runner.invoke(cli, ["operation-key", "wiki", "--role", "operator", "--namespace", namespace, "--json"])
    assert made.exit_code == 0, made.output
    plain = json.loads(made.output)
    api = start(key=plain["key"], operation_keys=plain["line"])
    assert api.post("/invalidations", {"criteria": {"tags": ["doc:1"]}})["invalidations"][0]["actor"] == "wiki"
    told = runner.invoke(cli, ["operation-key", "wiki"]).output
    assert "ENCORE_OPERATION_KEYS" in told
    assert "wiki:operator:*:" in told
    for wrong in (["a b"], ["wiki", "--namespace", "a b"]):
        assert runner.invoke(cli, ["operation-key", *wrong]).exit_code == 2


def test_a_body_that_does_not_come_is_waited_for_and_no_longer(start):
    api = start(gateway_body_seconds=0.1)
    with socket.create_connection(("127.0.0.1", api.gateway.port)) as connection:
        connection.sendall(
            b"POST /encore/v1/invalidations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        answer = connection.recv(10_000)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in answer


SLOW = (
    b"POST /encore/v1/invalidations HTTP/1.1\r\nHost: localhost\r\n%sContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n{"
)


def slow_body(held: ExitStack, api: Any, key: str | None) -> socket.socket:
    """A connection with a request whose body does not come."""
    connection = held.enter_context(socket.create_connection(("127.0.0.1", api.gateway.port)))
    connection.sendall(SLOW % (b"" if key is None else f"Authorization: Bearer {key}\r\n".encode()))
    return connection


def test_bodies_that_do_not_come_hold_up_no_other_key(start):
    slow = [new_operation_key(f"slow-{number}", Role.VIEWER, ("theirs",)) for number in range(3)]
    api = start(key=KEY, operation_keys=",".join([KEPT.line, *(kept.line for _, kept in slow)]))
    with ExitStack() as held:
        connections = [slow_body(held, api, key) for _ in range(BODIES_AT_A_TIME + 1) for key, _ in slow]
        assert len(connections) > AT_A_TIME + len(slow)
        until(lambda: len(answered(connections)) == len(slow))  # one of each key is too many
        for connection in answered(connections):
            answer = connection.recv(10_000)
            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"retry-after: 1\r\n" in answer
            assert b"too-often" in answer
        api.post("/invalidations", {"criteria": {"tags": ["doc:1"]}})
        body = {"criteria": {"tags": ["doc:1"], "namespace": "theirs"}}
        assert kind(api.by(slow[0][0]).refused(429, "POST", "/invalidations", json=body)) == "too-often"
    until(lambda: api.by(slow[0][0]).send("POST", "/invalidations", json={}).status_code == 422)


def test_programs_of_this_machine_share_what_one_key_may_hold(api):
    with ExitStack() as held:
        connections = [slow_body(held, api, None) for _ in range(BODIES_AT_A_TIME + 1)]
        until(lambda: len(answered(connections)) == 1)
        assert kind(api.refused(429, "POST", "/invalidations", json={})) == "too-often"
        assert api.send("GET", "/invalidations").status_code == 200


def answered(connections: list[socket.socket]) -> list[socket.socket]:
    return select.select(connections, [], [], 0)[0]


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization: Bearer %s\r\nAuthorization: Bearer other" % KEY.encode(),
        b"Authorization: Bearer \xff\xfe",
        b"Authorization: " + b"Bearer " * 1000,
        b"Authorization: Bearer " + b"x" * 50_000,
    ],
)
def test_strange_keys_are_none(start, line):
    api = start(**WITH_KEY)
    with socket.create_connection(("127.0.0.1", api.gateway.port)) as connection:
        connection.sendall(b"GET /encore/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n" + line + b"\r\n\r\n")
        assert connection.recv(10_000).startswith(b"HTTP/1.1 401 ")
