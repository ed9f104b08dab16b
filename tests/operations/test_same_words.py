"""The operations API, the command line and the console: the same functions of core, so the same facts and words."""

from __future__ import annotations

import ast

import pytest

from tests.cli.test_commands import Terminal
from tests.http.running import ROOT

QUESTION = "What is a card?"
NOWHERE = "0-" + "0" * 64


@pytest.fixture
def terminal(api, api_redis_url, openai_server, namespace, monkeypatch):
    """The command line of the same installation."""
    api.ask(QUESTION, "doc:1")
    api.services.metrics.flush()
    for name, value in (
        ("ENCORE_REDIS_URL", api_redis_url),
        ("ENCORE_NAMESPACE", namespace),
        ("OPENAI_BASE_URL", openai_server.url),
        ("OPENAI_API_KEY", "sk-x"),
    ):
        monkeypatch.setenv(name, value)
    return Terminal()


def still(told):
    """Without what moves with time."""
    return {name: value for name, value in told.items() if name not in ("age_seconds", "fresh_seconds", "ends_at")}


def test_what_would_become_of_a_request(api, terminal):
    told = api.post("/explain", {"model": "gpt-4o", "messages": [{"role": "user", "content": QUESTION}]})
    said = terminal.data("get", QUESTION, "--model", "gpt-4o")
    assert still(said).items() <= still(told).items()
    assert (said["hit"], said["why"]) == (True, told["why"])


def test_what_is_stored(api, terminal):
    assert list(map(still, terminal.data("entries", "--tag", "doc:1"))) == list(
        map(still, api.get("/entries", tag="doc:1")["items"])
    )


def test_the_known_tags(api, terminal):
    assert terminal.data("tags", "--limit", "100") == api.get("/tags")


def test_the_figures(api, terminal, namespace):
    told = api.get("/stats", namespace=namespace, window=3600)["summary"]
    assert still(terminal.data("stats", "--namespace", namespace, "--window", "1h")) == still(told)


def test_what_changed(api, terminal, namespace):
    told = api.get("/stats/change", namespace=namespace, window=3600)
    said = terminal.data("stats", "--changed", "--namespace", namespace, "--window", "1h")
    assert {**still(said), "starts_at": 0} == {**still(told), "starts_at": 0}
    assert told["scopes"]["namespaces"][0]["requests"] == 1


def test_the_savings(api, terminal, namespace):
    told = api.get("/savings", namespace=namespace, by="model,ttl_class")
    assert terminal.data("savings", "--namespace", namespace, "--by", "model,ttl_class") == told
    assert told["lines"][0]["model"] == "gpt-4o"


def test_the_switch_and_the_schedules(api, terminal, namespace):
    api.send("PUT", f"/bypass/{namespace}", json={"on": True, "note": "wrong answers"})
    told = api.get(f"/bypass/{namespace}")
    assert told in terminal.data("bypass")
    terminal.run("bypass", "--off")
    assert api.get(f"/bypass/{namespace}")["on"] is False
    added = api.post("/schedules", {"name": namespace[:40], "criteria": {"tags": ["x"]}, "every_seconds": 3600})
    assert terminal.data("schedules", "list", "--namespace", namespace) == [added]
    terminal.run("schedules", "remove", added["id"])
    api.refused(404, "GET", f"/schedules/{added['id']}")


def test_the_marks(api, terminal, namespace):
    added = api.post("/marks", {"name": f"v1 of {namespace}"})
    assert added in terminal.data("marks")
    assert terminal.data("marks", "remove", added["id"]) == added
    told = terminal.data("mark", "v2", "--namespace", namespace)
    assert told in api.get("/marks")["items"]
    assert added not in api.get("/marks")["items"]


@pytest.mark.parametrize(
    ("method", "path", "body", "command", "status"),
    [
        ("POST", f"/entries/{NOWHERE}/wrong", None, ("wrong", NOWHERE), 3),
        ("DELETE", "/schedules/abc", None, ("schedules", "remove", "abc"), 3),
        ("DELETE", "/marks/abc", None, ("marks", "remove", "abc"), 3),
        ("POST", "/marks", {"name": "a\nb"}, ("mark", "a\nb"), 2),
        (
            "POST",
            "/schedules",
            {"name": "x", "criteria": {"tags": ["x"]}, "daily_at": "25:00"},
            ("schedules", "add", "--name", "x", "--tag", "x", "--daily-at", "25:00"),
            2,
        ),
        (
            "POST",
            "/schedules",
            {"name": "x", "criteria": {"tags": ["x"]}, "every_seconds": 5.0},
            ("schedules", "add", "--name", "x", "--tag", "x", "--every", "5s"),
            2,
        ),
    ],
    ids=str,
)
def test_a_refusal_is_in_the_same_words(api, terminal, method, path, body, command, status):
    response = api.send(method, path, **({} if body is None else {"json": body}))
    assert response.json()["detail"] in terminal.data(*command, status=status)["message"]


SHARED = {
    "page_entries": ("core/operations/entries.py", "pages/components/data/queries.py"),
    "every_page": ("core/operations/transfer.py", "core/cli/inspect.py"),
    "export": ("core/operations/transfer.py", "pages/components/entries/detail.py"),
    "Edits": ("core/operations/entries.py", "pages/components/data/context.py"),
    "reasons": ("core/operations/entries.py", "pages/components/display/outcomes.py"),
    "plain_request": ("core/operations/requests.py", "core/cli/requests.py"),
    "recipients": ("core/operations/requests.py", "core/cli/requests.py"),
    "expect": ("core/operations/explain.py", "core/cli/inspect.py"),
    "Checkup": ("core/operations/parts.py", "pages/components/data/context.py"),
    "kept_schedules": ("core/operations/schedules.py", "core/cli/schedules.py", "pages/components/data/actions.py"),
    "RequestFilter": ("core/operations/requests.py", "pages/requests.py"),
}
"""Names of core that each of these takes for the same work."""


@pytest.mark.parametrize("name", SHARED)
def test_what_pages_and_commands_call_the_api_calls_too(name):
    for file in SHARED[name]:
        taken = {
            alias.name
            for node in ast.walk(ast.parse((ROOT / file).read_text()))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        assert name in taken, file
