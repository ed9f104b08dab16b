"""The operator's commands, as a shell or a script meets them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click.testing
import pytest

from core.bans.criteria import Criteria
from core.bootstrap import Services, bootstrap
from core.cli import cli
from core.cli import formats as words
from core.cli.formats import DURATION
from core.demo.model import DemoProvider
from core.metrics import kept_months
from core.models import ChatRequest, Controls
from core.settings import Settings
from core.stores.redis.embedded import ServerBinary
from tests.conftest import RedisServer
from tests.metrics.outcomes import a_hit, a_miss
from tests.semantic.test_rebuilding import stored_by_another

ROOT = Path(__file__).parents[2]


class Terminal:
    """Runs commands; `data` is the answer to one with --json."""

    def __init__(self) -> None:
        self._runner = click.testing.CliRunner()

    def run(self, *arguments: str, status: int = 0, keys: str | None = None) -> str:
        self.result = result = self._runner.invoke(cli, list(arguments), input=keys, prog_name="python -m core")
        assert result.exit_code == status, result.output
        assert "Traceback" not in result.output
        return result.output

    def data(self, *arguments: str, status: int = 0) -> Any:
        self.run(*arguments, "--json", status=status)
        return json.loads(self.result.stdout)


@pytest.fixture(scope="module")
def cli_url(tmp_path_factory: pytest.TempPathFactory, redis_binary: ServerBinary) -> Iterator[str]:
    """A server of these tests' own: the latest of what others did may be of years to come."""
    with RedisServer(tmp_path_factory.mktemp("redis"), binary=redis_binary, durable=False) as server:
        yield server.url


@pytest.fixture
def terminal(cli_url: str, namespace: str, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("ENCORE_REDIS_URL", cli_url)
    monkeypatch.setenv("ENCORE_NAMESPACE", namespace)
    monkeypatch.setenv("LOGNAME", "anna")
    return Terminal()


@pytest.fixture
def services(terminal: Terminal) -> Iterator[Services]:
    with bootstrap(Settings(), provider=DemoProvider(latency_scale=0)) as built:
        yield built


@pytest.fixture
def filled(services: Services) -> Services:
    for prompt, model in (
        ("How do refunds work?", "gpt-4o"),
        ("What is the refund period?", "gpt-4o-mini"),
        ("Why is the sky blue?", "gpt-4o"),
    ):
        ask(services, prompt, model=model)
    return services


def ask(services: Services, prompt: str, *, model: str = "gpt-4o", **controls: Any) -> str:
    request = ChatRequest.from_openai(model=model, messages=[{"role": "user", "content": prompt}])
    return str(services.cache.complete(request, Controls(**controls)).outcome.kind.value)


# Looking


def test_help_names_every_command_and_the_exit_statuses(terminal):
    shown = terminal.run("--help")
    for name in ("doctor", "stats", "savings", "get", "entries", "replay", "invalidate", "undo", "invalidations"):
        assert f"  {name} " in shown
        assert "Exit status:" in terminal.run(name, "--help")
    assert "4  outcome unknown" in shown


def test_questions_are_grouped_and_told_with_their_money(terminal, filled, namespace):
    filled.metrics.flush()
    told = terminal.data("questions", "--namespace", namespace, status=3)
    assert told["empty"] == "The questions are not grouped yet."
    assert "python -m core questions --group" in terminal.run("questions", "--namespace", namespace, status=3)
    shown = terminal.run("questions", "--namespace", namespace, "--group")
    assert "A typical question" in shown
    assert "Of the latest 3 requests, grouped " in shown
    ask(filled, "Is the sea salty?")
    filled.metrics.flush()
    assert "1 request asks what is in no group yet." in terminal.run("questions", "--namespace", namespace)
    assert len(terminal.data("questions", "--namespace", namespace, "--model", "gpt-4o-mini")["questions"]) == 1


def test_a_role_that_may_only_look_groups_no_questions(terminal, filled, namespace, monkeypatch):
    monkeypatch.setenv("ENCORE_CLI_ROLE", "viewer")
    assert "operator" in terminal.run("questions", "--group", status=1)
    terminal.run("questions", "--namespace", namespace, status=3)


def test_stats_add_up_what_all_processes_counted(terminal, filled, namespace):
    ask(filled, "Why is the sky blue?")
    filled.metrics.flush()
    told = terminal.data("stats", "--namespace", namespace, "--window", "1h")
    assert (told["requests"], told["hits"], told["misses"], told["hit_rate"]) == (4, 1, 3, 0.25)
    assert "Hits          1 (1 exact)" in terminal.run("stats", "--namespace", namespace)
    by_model = terminal.data("stats", "--namespace", namespace, "--by", "model")
    assert {name: part["requests"] for name, part in by_model.items()} == {"gpt-4o": 3, "gpt-4o-mini": 1}


def test_stats_say_what_changed_the_hit_rate_and_what_keeps_questions_apart(terminal, filled, namespace):
    for number in range(30):
        messages = [{"role": "system", "content": f"It is {number}."}, {"role": "user", "content": "What is a card?"}]
        filled.cache.complete(ChatRequest.from_openai(model="gpt-4o", messages=messages))
    filled.metrics.flush()
    shown = terminal.run("stats", "--changed", "--namespace", namespace, "--window", "1h")
    assert "the system prompt changes with every request, e.g. by a time stamp, since 20" in shown
    assert "29 of 33 misses repeat a question of another scope: they differ in the system prompt." in shown
    assert "  It is 28.\n  It is 29." in shown
    assert "No lookups in the last 1 h, not counting the latest seconds." in shown
    told = terminal.data("get", "What is a card?", "--model", "gpt-4o", "--namespace", namespace, status=3)
    assert (told["other_scopes"], told["differs"]) == (30, ["system prompt"])
    words = terminal.run("get", "What is a card?", "--model", "gpt-4o", "--namespace", namespace, status=3)
    assert (
        "The same question stands elsewhere: 30 answers in 30 other scopes: they differ in the system prompt." in words
    )
    terminal.run("stats", "--changed", "--by", "model", status=2)


def test_stats_say_the_largest_parts_of_a_change(terminal, services, namespace):
    now = services.clock()
    for ago, hits, misses in ((1300, 9, 1), (300, 4, 6)):
        for kind, count in ((a_hit, hits), (a_miss, misses)):
            for _ in range(count):
                services.metrics.record(kind(namespace=namespace, at=now - ago))
    services.metrics.flush()
    shown = terminal.run("stats", "--changed", "--namespace", namespace, "--window", "15m")
    assert "The hit rate of the last 15 min is 40.0 %: -50.0 points against 90.0 % in the 15 min before." in shown
    assert re.search(
        rf"-50.0 points +{namespace} +gpt-4o +missed, nothing stored: 10.0 % → 60.0 % of its lookups", shown
    )


def test_savings_are_told_by_month_in_words_json_and_csv(terminal, filled, namespace):
    ask(filled, "Why is the sky blue?")
    filled.metrics.flush()
    chosen = ("--namespace", namespace, "--by", "namespace,model")
    told = terminal.data("savings", *chosen)
    [*_, month] = told["months"]
    assert (month["month"], month["requests"], month["hits"], month["complete"]) == (told["month"], 4, 1, False)
    assert [(line["namespace"], line["model"], line["hits"]) for line in told["lines"]] == [
        (namespace, "gpt-4o", 1),
        (namespace, "gpt-4o-mini", 0),
    ]
    shown = terminal.run("savings", *chosen)
    assert f"{told['month']} so far" in shown
    assert "Months are in UTC." in shown
    assert "gpt-4o-mini" in shown
    rows = list(csv.DictReader(io.StringIO(terminal.run("savings", *chosen, "--month", told["month"], "--csv"))))
    assert [row["model"] for row in rows] == ["gpt-4o", "gpt-4o-mini"]
    assert sum(float(row["saved_usd"]) for row in rows) == month["saved_usd"]


def test_savings_name_a_namespace_by_its_label(terminal, filled, namespace):
    filled.metrics.flush()
    terminal.run("namespaces", "label", namespace, "Support")
    assert f"Support ({namespace})" in terminal.run("savings", "--namespace", namespace)
    [row] = csv.DictReader(io.StringIO(terminal.run("savings", "--namespace", namespace, "--csv")))
    assert (row["namespace"], row["namespace_label"]) == (namespace, "Support")


def test_a_kept_month_without_anything_says_so(terminal, services):
    first = kept_months(services.clock())[0].name
    assert terminal.run("savings", "--month", first) == f"Nothing has been counted in {first}.\n"


def test_get_tells_whether_it_would_hit_and_why(terminal, filled):
    exact = terminal.data("get", "Why is the sky blue?", "--model", "gpt-4o")
    assert (exact["hit"], exact["reason"]) == (True, "exact")
    assert len(exact["answer"]) > 10
    other = terminal.data("get", "why is  the sky blue", "--model", "gpt-4o")
    assert (other["hit"], other["reason"], other["entry"]) == (True, "normalized", exact["entry"])
    assert (other["normalized"], other["ttl_class"]) == ("why is the sky blue", exact["ttl_class"])
    assert other["key"] != exact["key"]
    miss = terminal.data("get", "why is  the sky blue", "--model", "gpt-4o", "--strategy", "exact", status=3)
    assert (miss["hit"], miss["reason"]) == (False, "absent")
    assert terminal.data("get", "Why is the sky blue?", "--model", "gpt-4", status=3)["reason"] == "absent"
    assert terminal.data("get", "Why is the sky blue?", "--model", "gpt-4o", "--system", "Rhyme.", status=3)
    assert filled.metrics.summary(600, namespace=filled.settings.namespace).requests == 3, "looking is not counted"


def test_get_tells_why_a_prompt_bypasses(terminal, services):
    told = terminal.data("get", "What is my balance?", "--model", "gpt-4o", status=3)
    assert told["reason"] == "bypass: no-user"
    shown = terminal.run("get", "What is my balance?", "--model", "gpt-4o", status=3)
    assert "personal, but names no user" in shown
    assert "no-user" not in shown


def test_get_tells_that_an_answer_is_invalidated(terminal, filled):
    terminal.run("invalidate", "--everything", "--yes")
    assert terminal.data("get", "Why is the sky blue?", "--model", "gpt-4o", status=3)["reason"] == "invalidated"


def test_get_without_a_model_asks_for_one_unless_there_is_the_demo_model(terminal, services, monkeypatch):
    assert terminal.data("get", "Why?", status=3)["model"] == "encore-demo-small"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    assert "--model" in terminal.run("get", "Why?", status=2)
    monkeypatch.setenv("ENCORE_DEFAULT_MODEL", "gpt-4o")
    assert terminal.data("get", "Why?", status=3)["model"] == "gpt-4o"


def test_requests_are_listed_and_searched(terminal, filled, namespace):
    filled.metrics.flush()
    assert len(terminal.data("requests", "--namespace", namespace)) == 3
    [found] = terminal.data("requests", "--namespace", namespace, "--find", "SKY", "--outcome", "miss")
    assert (found["prompt"], found["kind"]) == ("Why is the sky blue?", "miss")
    shown = terminal.run("requests", "--key", found["key"])
    assert "nothing stored" in shown
    assert "Why is the sky blue?" in shown
    assert terminal.data("requests", "--namespace", namespace, "--find", "nothing", status=3) == []


def test_recipients_are_those_who_got_an_answer(terminal, filled, services, namespace):
    ask(services, "Why is the sky blue?")
    services.metrics.flush()
    [key] = {one["key"] for one in terminal.data("requests", "--namespace", namespace, "--find", "sky")}
    told = terminal.data("recipients", key)
    assert [one["kind"] for one in told["got"]] == ["hit", "miss"]
    said = terminal.run("recipients", key)
    assert "2 got this answer." in said
    assert "hit, exact" in said
    assert terminal.data("recipients", key, "--namespace", "another", status=3)["got"] == []
    terminal.run("recipients", "no key", status=2)


def test_entries_are_listed_and_searched(terminal, filled):
    assert len(terminal.data("entries")) == 3
    [found] = terminal.data("entries", "--search", "SKY")
    assert (found["prompt"], found["model"], found["state"]) == ("Why is the sky blue?", "gpt-4o", "fresh")
    assert {one["prompt"] for one in terminal.data("entries", "--model", "gpt-4o-mini")} == {
        "What is the refund period?"
    }
    assert len(terminal.data("entries", "--limit", "2")) == 2
    assert terminal.data("entries", "--older-than", "1h", status=3) == []
    assert "No entry matches" in terminal.run("entries", "--search", "nothing", status=3)
    terminal.run("invalidate", "--keyword", "sky", "--yes")
    assert terminal.data("entries", "--search", "sky", status=3) == []
    [hidden] = terminal.data("entries", "--search", "sky", "--invalidated")
    assert hidden["state"] == "invalidated"


def test_what_a_terminal_would_act_on_is_not_printed(terminal, services):
    ask(services, "\x1b]0;owned\x07 Why is the sky blue? \u202e")
    for shown in (terminal.run("entries"), terminal.run("invalidate", "--everything", "--dry-run")):
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)
        assert "Why is the sky blue?" in shown


# Invalidating


def test_a_dry_run_shows_and_changes_nothing(terminal, filled):
    shown = terminal.run("invalidate", "--model", "gpt-4o", "--dry-run")
    assert "2 of 3 entries (66.7 %)" in shown
    told = terminal.data("invalidate", "--model", "gpt-4o", "--dry-run")
    assert (told["applied"], told["preview"]["count"], told["preview"]["exact"]) == (False, 2, True)
    assert terminal.data("invalidate", "--model", "gpt-4", "--dry-run", status=3)["preview"]["count"] == 0
    assert ask(filled, "Why is the sky blue?") == "hit"


def test_without_a_terminal_it_takes_a_yes(terminal, filled):
    assert "--yes" in terminal.run("invalidate", "--everything", status=2)
    assert ask(filled, "Why is the sky blue?") == "hit"


@pytest.mark.parametrize(
    ("keys", "status", "then"), [("Invalidate\n", 0, "miss"), ("y\n", 1, "hit"), ("n\n", 1, "hit"), ("\n", 1, "hit")]
)
@pytest.mark.parametrize("criteria", [("--everything",), ("--keyword", "sky")], ids=str)
def test_on_a_terminal_it_asks_for_the_word_where_it_hides_much(
    terminal, filled, monkeypatch, criteria, keys, status, then
):
    monkeypatch.setattr("core.cli.invalidations.is_terminal", lambda: True)
    assert "Type invalidate" in terminal.run("invalidate", *criteria, status=status, keys=keys)
    assert ask(filled, "Why is the sky blue?") == then


@pytest.mark.parametrize(("keys", "status", "then"), [("y\n", 0, "miss"), ("n\n", 1, "hit"), ("\n", 1, "hit")])
def test_on_a_terminal_it_asks(terminal, filled, monkeypatch, keys, status, then):
    monkeypatch.setattr("core.cli.invalidations.is_terminal", lambda: True)
    for number in range(10):
        ask(filled, f"What is the number {number}?")
    assert "Type" not in terminal.run("invalidate", "--keyword", "sky", status=status, keys=keys)
    assert ask(filled, "Why is the sky blue?") == then


def test_a_yes_applies_it_at_once_and_undo_brings_it_back(terminal, filled):
    told = terminal.data("invalidate", "--keyword", "sky", "--yes")
    done = told["invalidation"]
    assert (told["applied"], done["state"], done["preview_count"], done["actor"]) == (True, "held", 1, "anna")
    assert done["due_at"] - done["applied_at"] == 300
    [listed] = terminal.data("invalidations", "--active", "--namespace", filled.settings.namespace)
    assert listed["id"] == done["id"]
    undone = terminal.data("undo", done["id"])
    assert undone["state"] == "undone"
    assert ask(filled, "Why is the sky blue?") == "hit"
    assert terminal.data("invalidations", "--active", "--namespace", filled.settings.namespace) == []
    assert {record.source for record in filled.audit.of(done["id"])} == {"cli"}


def test_all_options_narrow_it_down(terminal, filled):
    both = ("--keyword", "refund", "--keyword", "period")
    assert terminal.data("invalidate", *both, "--dry-run")["preview"]["count"] == 2
    assert terminal.data("invalidate", *both, "--all-keywords", "--dry-run")["preview"]["count"] == 1
    assert terminal.data("invalidate", *both, "--model", "gpt-4o", "--dry-run")["preview"]["count"] == 1
    assert terminal.data("invalidate", "--pattern", "*blue?", "--dry-run")["preview"]["count"] == 1
    assert terminal.data("invalidate", "--older-than", "1d", "--dry-run", status=3)["preview"]["count"] == 0
    key = terminal.data("entries", "--search", "sky")[0]["key"]
    assert terminal.data("invalidate", "--key", key, "--dry-run")["preview"]["count"] == 1
    ask(filled, "Which tag is this?", tags=("doc:1",))
    assert terminal.data("invalidate", "--tag", "doc:1", "--tag", "doc:2", "--dry-run")["preview"]["count"] == 1
    assert terminal.data("invalidate", "--everything", "--namespace", "elsewhere", "--dry-run", status=3)


def test_a_users_answers_are_selected_by_a_name_that_is_not_told_on(terminal, filled):
    ask(filled, "How do I activate a card?", user="ann@mail.test")
    told = terminal.data("invalidate", "--user", "ann@mail.test", "--yes")
    assert told["preview"]["count"] == 1
    assert ask(filled, "How do I activate a card?", user="ann@mail.test") == "miss"
    for asked in (("invalidations",), ("audit",), ("invalidations", "--json"), ("audit", "--json")):
        assert "ann@mail.test" not in terminal.run(*asked)
    assert "user u-" in terminal.run("invalidations")


def test_the_same_request_id_is_applied_once_whatever_the_clock_says(terminal, filled):
    again = ("invalidate", "--older-than", "1s", "--yes", "--request-id", f"deploy-{filled.settings.namespace}")
    first = terminal.data(*again)["invalidation"]
    second = terminal.data(*again)["invalidation"]
    assert (second["id"], second["applied_at"]) == (first["id"], first["applied_at"])
    assert len(terminal.data("invalidations", "--namespace", filled.settings.namespace)) == 1


def test_a_soft_one_says_what_it_is(terminal, filled):
    assert terminal.data("invalidate", "--everything", "--soft", "--yes")["invalidation"]["state"] == "soft"


def test_waiting_ends_when_the_sweep_has(terminal, filled, monkeypatch):
    # A worker's part, done between two looks.
    monkeypatch.setattr(
        "core.cli.invalidations.time.sleep", lambda seconds: filled.invalidation.sweep(namespace, rest=0)
    )
    namespace = filled.settings.namespace
    told = terminal.data("invalidate", "--everything", "--hold", "0", "--yes", "--wait")
    assert (told["invalidation"]["state"], told["invalidation"]["deleted"]) == ("swept", 3)
    ask(filled, "Why is the sky blue?")
    shown = terminal.run("invalidate", "--everything", "--hold", "0", "--yes", "--wait")
    assert "swept, 1 deleted" in shown
    assert "No worker is alive" in shown


def test_waiting_gives_up_in_time_and_says_that_it_is_in_force(terminal, filled):
    shown = terminal.run("invalidate", "--everything", "--hold", "5m", "--yes", "--wait", "--timeout", "0", status=1)
    assert "It is in force" in shown
    assert ask(filled, "Why is the sky blue?") == "miss"


def test_an_entry_deleted_at_once_needs_no_sweep(terminal, filled):
    key = terminal.data("entries", "--search", "sky")[0]["key"]
    assert "Deleted." in terminal.run("invalidate", "--key", key, "--hold", "0", "--yes", "--wait")


@pytest.mark.parametrize(
    "arguments",
    [
        ("invalidate", "--yes"),
        ("invalidate", "--everything", "--model", "m", "--yes"),
        ("invalidate", "--everything", "--yes", "--dry-run"),
        ("invalidate", "--everything", "--yes", "--soft", "--wait"),
        ("invalidate", "--pattern", "*", "--yes"),
        ("invalidate", "--key", "nothing", "--yes"),
        ("invalidate", "--older-than", "7", "--yes"),
        ("invalidate", "--older-than", "-7d", "--yes"),
        ("invalidate", "--older-than", "0", "--yes"),
        ("invalidate", "--everything", "--hold", "2d", "--yes"),
        ("invalidate", "--everything", "--namespace", "a:b", "--yes"),
        ("invalidate", "--everything", "--request-id", "no good", "--yes"),
        ("stats", "--window", "999w"),
        ("savings", "--month", "1999-01"),
        ("savings", "--month", "november"),
        ("savings", "--by", "user"),
        ("savings", "--json", "--csv"),
        ("entries", "--limit", "0"),
        ("get",),
        ("nothing",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_and_changes_nothing(terminal, filled, arguments):
    terminal.run(*arguments, status=2)
    assert filled.invalidation.active(filled.settings.namespace) == []


def test_what_cannot_be_undone_is_said_so(terminal, filled):
    assert terminal.data("undo", "nothing", status=3)["error"] == "InvalidationNotFound"
    done = terminal.data("invalidate", "--everything", "--hold", "0", "--yes")["invalidation"]
    filled.invalidation.sweep(filled.settings.namespace, rest=0)
    assert terminal.data("undo", done["id"], status=1)["error"] == "InvalidationRefused"


def test_refused_and_unknown_outcomes_have_their_own_status(redis_server, terminal, monkeypatch):
    server = redis_server()
    monkeypatch.setenv("ENCORE_REDIS_URL", server.url)
    monkeypatch.setattr("core.cli.shell.OPERATOR_SECONDS", 1.0)
    terminal.run("invalidate", "--model", "m", "--yes")
    with server.client() as client:
        client.replicaof("127.0.0.1", "1")
        refused = terminal.data("invalidate", "--everything", "--yes", status=1)
        client.replicaof("NO", "ONE")
        client.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
        unknown = terminal.data("invalidate", "--everything", "--yes", status=4)
        client.execute_command("CLIENT", "UNPAUSE")
    assert (refused["error"], unknown["error"]) == ("WriteRefused", "OutcomeUnknown")
    server.kill()
    assert terminal.data("invalidations", status=1)["error"] == "StoreUnavailable"


def test_without_redis_every_command_says_what_to_do(terminal, monkeypatch, tmp_path):
    monkeypatch.delenv("ENCORE_REDIS_URL")
    monkeypatch.setenv("ENCORE_HOME", str(tmp_path))
    for arguments in (("stats",), ("savings",), ("entries",), ("get", "x"), ("undo", "x"), ("invalidations",)):
        assert "ENCORE_REDIS_URL" in terminal.run(*arguments, status=1)


def test_settings_that_cannot_be_used_are_all_named(terminal, monkeypatch):
    monkeypatch.setenv("ENCORE_WORKERS", "many")
    monkeypatch.setenv("ENCORE_STRATEGY", "magic")
    shown = terminal.run("stats", status=1)
    assert "ENCORE_WORKERS" in shown
    assert "ENCORE_STRATEGY" in shown


# Sending


def test_a_file_is_replayed_and_summed_up(terminal, services, tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text('{"query": "Why is the sky blue?"}\n\n{"prompt": "Why is the sky blue?"}\n"How do refunds work?"\n')
    told = terminal.data("replay", str(file), "--namespace", services.settings.namespace, "--rate", "1000")
    assert (told["sent"], told["answered"], told["errors"], told["finished"]) == (3, 3, 0, True)
    assert (told["hits"] + told["collapsed"], told["misses"]) in ((1, 2), (1, 3))
    again = terminal.data("replay", str(file), "--namespace", services.settings.namespace, "--limit", "2")
    assert (again["sent"], again["hits"]) == (2, 2)


def test_a_replay_of_the_sample_shows_what_it_saves(terminal, namespace):
    shown = terminal.run("replay", "--namespace", namespace, "--limit", "5", "--rate", "1000", "--repeat", "zipf")
    assert "Hit rate" in shown
    assert "Money saved" in shown
    assert "Asking" not in shown, "the bar is for terminals"


def test_a_line_that_is_no_question_is_named(terminal, tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text('{"query": "fine"}\n{"text": 1}\n')
    assert "line 2" in terminal.run("replay", str(file), status=2)
    file.write_text("\n")
    assert "no questions" in terminal.run("replay", str(file), status=2)
    terminal.run("replay", str(tmp_path / "missing"), status=2)


def test_a_provider_that_only_fails_ends_a_replay(terminal, monkeypatch, namespace):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    arguments = ("replay", "--namespace", namespace, "--model", "m", "--rate", "10000", "--concurrency", "32")
    told = terminal.data(*arguments, status=1)
    assert (told["gave_up"], told["answered"], told["problem"]) == (True, 0, "APIConnectionError")
    assert told["sent"] < 360


# From a shell


def test_it_runs_as_a_module_and_its_pipes_may_be_closed(redis_url, tmp_path):
    environment = {**os.environ, "ENCORE_REDIS_URL": redis_url}
    run = subprocess.run(
        [sys.executable, "-m", "core", "undo", "nothing"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (run.returncode, run.stdout) == (3, "")
    assert run.stderr == "Error: no invalidation has the id nothing\n"


# Words


@pytest.mark.parametrize(
    ("given", "seconds"), [("45s", 45), ("30m", 1800), ("12h", 43_200), ("7d", 604_800), ("2w", 1_209_600), ("0", 0)]
)
def test_durations_are_read(given, seconds):
    assert DURATION.convert(given, None, None) == seconds


@pytest.mark.parametrize("given", ["7", "", "d", "-1d", "1.5h", "9999999999d", "1e3s", "7 days", "٧d"])
def test_what_is_no_duration_is_refused(given):
    with pytest.raises(click.BadParameter):
        DURATION.convert(given, None, None)


def test_a_text_that_is_too_long_is_cut_visibly():
    assert words.text("a" * 10, 5) == "aaaa…"


def test_many_invalidations_are_listed_page_by_page(terminal, services, namespace):
    ids = [services.invalidation.invalidate(Criteria(tags=(f"doc:{number}",)), actor="wiki").id for number in range(25)]
    by_anna = terminal.data("invalidate", "--model", "m", "--yes")["invalidation"]["id"]
    mine = ("invalidations", "--namespace", namespace)

    def pages(*options: str) -> list[list[str]]:
        found, cursor = [], ()
        while True:
            found.append([one["id"] for one in terminal.data(*mine, *options, "--limit", "10", *cursor)])
            if not terminal.result.stderr:
                return found
            cursor = tuple(terminal.result.stderr.removeprefix("More: ").split())

    assert [len(page) for page in pages("--active")] == [10, 10, 6]
    assert [one for page in pages("--active") for one in page] == [*ids, by_anna], "those first that end first"
    assert [one for page in pages("--by", "programs") for one in page] == ids[::-1]
    assert pages("--by", "people") == [[by_anna]]
    assert by_anna in pages()[0]
    assert pages("--active", "--find", "doc:17") == pages("--find", ids[17]) == [[ids[17]]]
    assert "More: --cursor" in terminal.run(*mine, "--active", "--limit", "3")
    assert terminal.data(*mine, "--cursor", "nonsense", status=2)["error"] == "InvalidInput"


def test_what_programs_did_is_shown_from_their_own_log(terminal, services, namespace):
    for number in range(5):
        services.invalidation.invalidate(Criteria(tags=(f"doc:{number}",)), actor=f"wiki-{namespace}")
    shown = terminal.data("audit", "--programs", "--actor", f"wiki-{namespace}", "--limit", "3")
    assert [record["criteria"]["tags"] for record in shown] == [["doc:4"], ["doc:3"], ["doc:2"]]
    before = terminal.result.stderr.removeprefix("More: ").split()
    rest = terminal.data("audit", "--programs", "--actor", f"wiki-{namespace}", *before)
    assert [record["criteria"]["tags"] for record in rest] == [["doc:1"], ["doc:0"]]
    terminal.run("audit", "--actor", f"wiki-{namespace}", status=3)


def test_the_audit_log_is_shown_and_exported(terminal, filled, namespace):
    terminal.run("invalidate", "--model", "gpt-4o", "--yes")
    shown = terminal.run("audit", "--actor", "anna", "--action", "invalidate.")
    assert "invalidate.applied" in shown
    mine = [record for record in terminal.data("audit", "--actor", "anna") if record["namespace"] == namespace]
    assert [record["action"] for record in mine] == ["invalidate.applied", "invalidate.requested"]
    assert mine[0]["criteria"]["model"] == "gpt-4o"
    lines = terminal.run("audit", "--export", "jsonl", "--limit", "1").splitlines()
    assert json.loads(lines[0])["action"]
    assert terminal.run("audit", "--export", "csv", "--limit", "1").startswith("id,at,actor")
    terminal.run("audit", "--actor", "nobody-of-this-name", status=3)


def test_what_a_dry_run_showed_is_applied_unless_it_has_changed(terminal, filled, services):
    token = terminal.data("invalidate", "--model", "gpt-4o", "--older-than", "1s", "--dry-run", status=3)["preview"][
        "token"
    ]
    cutoff = float(token.rpartition("-")[2])
    ask(filled, "What is a fee?")
    told = terminal.data("invalidate", "--model", "gpt-4o", "--older-than", "1s", "--preview", token, "--yes")
    assert told["invalidation"]["criteria"]["created_before"] == cutoff
    token = terminal.data("invalidate", "--model", "gpt-4o", "--dry-run")["preview"]["token"]
    ask(filled, "Why is the sea salty?")
    told = terminal.data("invalidate", "--model", "gpt-4o", "--preview", token, "--yes", status=1)
    assert told["error"] == "InvalidationRefused"
    assert "3 entries matched then, 4 do now" in told["message"]
    terminal.run("invalidate", "--model", "gpt-4o-mini", "--preview", token, "--yes", status=2)
    terminal.run("invalidate", "--model", "gpt-4o-mini", "--preview", "nonsense", "--yes", status=2)


def test_a_request_id_is_good_for_one_invalidation(terminal, filled, namespace):
    terminal.run("invalidate", "--model", "gpt-4o", "--older-than", "7d", "--yes", "--request-id", "deploy-1")
    terminal.run("invalidate", "--model", "gpt-4o", "--older-than", "7d", "--yes", "--request-id", "deploy-1")
    assert len(terminal.data("invalidations", "--namespace", namespace)) == 1
    told = terminal.run("invalidate", "--model", "gpt-4o", "--yes", "--request-id", "deploy-1", status=2)
    assert "was used for another invalidation" in told
    terminal.run("undo", "deploy-1")
    assert "undone already" in terminal.run("undo", "deploy-1", status=1)


def test_what_an_older_version_left_is_deleted_and_what_people_made_stays(terminal: Terminal, filled: Services) -> None:
    assert filled.redis is not None
    filled.redis.mset({"encore:{shop:0}:record": b"r", "encore:namespaces": b"n"})
    assert terminal.data("clean") == {"removed": 2}
    assert terminal.data("clean") == {"removed": 0}
    assert len(terminal.data("entries")) > 0
    latest = filled.audit.records(limit=2)[-1]
    assert (latest.action, latest.actor, latest.details) == ("store.cleaned", "anna", {"keys": 2})


def test_a_rebuild_of_the_index_is_asked_for_or_done_at_once(terminal, filled, monkeypatch):
    assert "is not semantic" in terminal.run("rebuild", status=2)
    monkeypatch.setenv("ENCORE_STRATEGY", "semantic")
    assert "no rows of other embedders" in terminal.run("rebuild", "--look", status=3)
    stored_by_another("What is a fee?", "What is a card?")
    assert "2 rows of another embedder" in terminal.run("rebuild", "--look")
    assert "A worker rebuilds it" in terminal.run("rebuild")
    assert filled.near_index.take_up()
    assert "2 of 2 rows of other embedders looked at, 2 added." in terminal.run("rebuild", "--now")
    assert "from before it was rebuilt" in terminal.run("rebuild", "--look", status=3)
    terminal.run("rebuild", "--look", "--now", status=2)


def test_a_reason_is_kept_and_listed(terminal, filled):
    terminal.run("invalidate", "--model", "gpt-4o", "--yes", "--reason", "The fee has changed")
    assert terminal.data("invalidations")[0]["reason"] == "The fee has changed"
    assert "The fee has changed" in terminal.run("invalidations")
    key = terminal.data("get", "What is the refund period?", "--model", "gpt-4o-mini")["entry"]
    assert terminal.data("wrong", key)["hidden"]["reason"] == "called wrong"
    terminal.run("invalidate", "--everything", "--yes", "--reason", "x" * 201, status=2)


def test_the_known_tags_are_listed_with_their_counts(terminal, services):
    ask(services, "Why is the sky blue?", tags=("doc:1", "\x1b[31msky"))
    ask(services, "Why is the sea salty?", tags=("doc:1",))
    shown = terminal.run("tags", "--find", "DOC")
    assert "doc:1  2" in shown
    assert "sky" not in shown
    assert "\x1b" not in terminal.run("tags")
    assert terminal.data("tags", "--find", "nothing", status=3)["tags"] == []
