"""The commands about scheduled invalidations, as a shell or a script meets them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.bootstrap import Services, bootstrap
from core.demo.model import DemoProvider
from core.keys import user_pseudonym
from core.monitoring.worker_pools import WorkerPools
from core.settings import Settings
from tests.cli.test_commands import Terminal, ask


@pytest.fixture
def terminal(redis_server, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """On a server of its own: schedules are those of a whole installation."""
    monkeypatch.setenv("ENCORE_REDIS_URL", redis_server().url)
    monkeypatch.setenv("ENCORE_NAMESPACE", "shop")
    monkeypatch.setenv("LOGNAME", "anna")
    return Terminal()


@pytest.fixture
def services(terminal: Terminal) -> Iterator[Services]:
    with bootstrap(Settings(), provider=DemoProvider(latency_scale=0)) as built:
        yield built


NIGHTLY = ("schedules", "add", "--name", "Nightly", "--daily-at", "03:00", "--older-than", "7d")


def test_help_names_the_subcommands_and_the_exit_statuses(terminal):
    assert "  schedules " in terminal.run("--help")
    shown = terminal.run("schedules", "--help")
    for name in ("list", "add", "edit", "pause", "resume", "remove", "run"):
        assert f"  {name} " in shown
        assert "Exit status:" in terminal.run("schedules", name, "--help")


def test_without_any_the_list_says_so(terminal, services):
    assert terminal.data("schedules") == []
    assert "There are no schedules." in terminal.run("schedules")


def test_one_is_added_and_listed(terminal, services):
    shown = terminal.run(*NIGHTLY)
    assert "older than 7 d in shop, daily at 03:00 UTC. It runs next at" in shown
    assert "python -m workers" in shown, "no worker is alive"
    [listed] = terminal.data("schedules")
    assert (listed["name"], listed["what"], listed["rhythm"], listed["actor"], listed["namespace"]) == (
        "Nightly",
        "older than 7 d",
        "daily at 03:00 UTC",
        "anna",
        "shop",
    )
    table = terminal.run("schedules")
    for words in ("Nightly", "daily at 03:00 UTC", "never", "older than 7 d in shop"):
        assert words in table
    [record] = services.audit.records(action="schedule.created")
    assert (record.actor, record.source) == ("anna", "cli")


def test_with_a_worker_nothing_is_warned_of(terminal, services):
    WorkerPools(services.queue_redis).beat("pool", host="here", pid=1, workers=2)
    assert "No worker" not in terminal.run(*NIGHTLY)


def test_all_options_say_what_is_selected(terminal, services):
    options = ("--model", "gpt-4o", "--pattern", "*refund*", "--keyword", "pay", "--keyword", "back", "--all-keywords")
    more = ("--tag", "doc:1", "--every", "90m", "--soft", "--hold", "1h", "--namespace", "other")
    added = terminal.data("schedules", "add", "--name", "Much", *options, *more)
    assert added["criteria"] == {
        "model": "gpt-4o",
        "pattern": "*refund*",
        "keywords": ["pay", "back"],
        "keyword_mode": "all",
        "tags": ["doc:1"],
    }
    assert (added["every_seconds"], added["soft"], added["hold_seconds"], added["namespace"]) == (
        5400,
        True,
        3600,
        "other",
    )
    assert terminal.data("schedules", "--namespace", "shop") == []
    assert [one["id"] for one in terminal.data("schedules", "list", "--namespace", "other")] == [added["id"]]


def test_a_schedule_keeps_no_users_name(terminal, services):
    options = ("--user", "ann@mail.test", "--every", "1h", "--namespace", "other")
    added = terminal.data("schedules", "add", "--name", "Forget", *options)
    assert added["criteria"] == {"user": user_pseudonym("other", "ann@mail.test")}


def test_running_one_now_hides_at_once_and_is_undone_like_any_other(terminal, services):
    ask(services, "Why is the sky blue?")
    added = terminal.data("schedules", "add", "--name", "All", "--every", "1h", "--everything")
    done = terminal.data("schedules", "run", added["id"])
    assert (done["state"], done["actor"]) == ("held", "anna")
    assert ask(services, "Why is the sky blue?") == "miss"
    terminal.run("undo", done["id"])
    assert "python -m core undo" in terminal.run("schedules", "run", added["id"])
    [listed] = terminal.data("schedules")
    assert listed["last"].startswith("applied: ")


def test_one_is_paused_resumed_and_removed(terminal, services):
    added = terminal.data(*NIGHTLY)
    assert terminal.data("schedules", "pause", added["id"])["enabled"] is False
    assert "paused" in terminal.run("schedules")
    assert terminal.data("schedules", "resume", added["id"])["enabled"] is True
    assert terminal.data("schedules", "remove", added["id"]) == {"removed": added["id"]}
    assert terminal.data("schedules") == []
    actions = [record.action for record in services.audit.records(action="schedule.")]
    assert actions == ["schedule.removed", "schedule.resumed", "schedule.paused", "schedule.created"]


@pytest.mark.parametrize("name", ["edit", "pause", "resume", "remove", "run"])
def test_one_that_is_not_there_is_status_3(terminal, services, name):
    options = ("--name", "x") if name == "edit" else ()
    assert terminal.data("schedules", name, "nothing", *options, status=3)["error"] == "InvalidationNotFound"


@pytest.mark.parametrize(
    "options",
    [
        ("--name", "n", "--model", "m"),
        ("--name", "n", "--model", "m", "--every", "1h", "--daily-at", "03:00"),
        ("--model", "m", "--every", "1h"),
        ("--name", "n", "--every", "1h"),
        ("--name", "n", "--every", "1s", "--model", "m"),
        ("--name", "n", "--every", "1", "--model", "m"),
        ("--name", "n", "--daily-at", "3am", "--model", "m"),
        ("--name", "n", "--every", "1h", "--older-than", "0"),
        ("--name", "n", "--every", "1h", "--pattern", "*"),
        ("--name", "n", "--every", "1h", "--everything", "--model", "m"),
        ("--name", "n", "--every", "1h", "--everything", "--older-than", "7d"),
        ("--name", "n", "--every", "1h", "--model", "m", "--hold", "2d"),
        ("--name", "n", "--every", "1h", "--model", "m", "--namespace", "a:b"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2_and_adds_nothing(terminal, services, options):
    terminal.run("schedules", "add", *options, status=2)
    assert services.schedules.all() == []


def test_options_belong_after_the_subcommand(terminal, services):
    added = terminal.data(*NIGHTLY)
    assert "after the subcommand" in terminal.run("schedules", "--json", "remove", added["id"], status=2)
    assert len(services.schedules.all()) == 1


def test_the_same_name_again_is_refused(terminal, services):
    terminal.run(*NIGHTLY)
    assert "another schedule has it" in terminal.run(*NIGHTLY, status=2)
    assert len(services.schedules.all()) == 1


def test_what_a_terminal_would_act_on_is_not_printed(terminal, services):
    services.schedules.add(
        namespace="shop", actor="\x1b[31manna", criteria={"pattern": "*\x1b]0;owned\x07*"}, every_seconds=60
    )
    assert not {"\x1b", "\x07"} & set(terminal.run("schedules"))


def test_without_redis_it_says_what_to_do(terminal, monkeypatch, tmp_path):
    monkeypatch.delenv("ENCORE_REDIS_URL")
    monkeypatch.setenv("ENCORE_HOME", str(tmp_path))
    for arguments in (("schedules",), NIGHTLY, ("schedules", "run", "x")):
        assert "ENCORE_REDIS_URL" in terminal.run(*arguments, status=1)


def test_each_run_has_the_reason_of_its_schedule(terminal, services):
    added = terminal.data(*NIGHTLY, "--reason", "Rates change at night")
    terminal.run("schedules", "run", added["id"])
    named = terminal.data("schedules", "add", "--name", "All", "--every", "1h", "--everything")
    terminal.run("schedules", "run", named["id"])
    reasons = {one["reason"] for one in terminal.data("invalidations")}
    assert reasons == {"Rates change at night", "schedule All"}


def test_one_runs_on_some_days_only(terminal, services):
    shown = terminal.run(*NIGHTLY, "--on", "mon-fri")
    assert "Mon-Fri at 03:00 UTC" in shown
    [listed] = terminal.data("schedules")
    assert (listed["weekdays"], listed["effective_hold_seconds"]) == (["mon", "tue", "wed", "thu", "fri"], 43_200)


def test_one_is_edited_and_keeps_its_id_and_what_was_not_given(terminal, services):
    added = terminal.data(*NIGHTLY, "--reason", "Rates change", "--on", "sat,sun")
    shown = terminal.run("schedules", "edit", added["id"], "--name", "Weekly", "--on", "mon", "--hold", "1h")
    assert "Changed: older than 7 d in shop, Mon at 03:00 UTC. It runs next at" in shown
    edited = terminal.data("schedules", "edit", added["id"], "--every", "90m", "--model", "gpt-4o", "--soft")
    assert (edited["id"], edited["name"], edited["reason"]) == (added["id"], "Weekly", "Rates change")
    assert (edited["criteria"], edited["older_than_seconds"]) == ({"model": "gpt-4o"}, None)
    assert (edited["rhythm"], edited["weekdays"], edited["soft"], edited["hold_seconds"]) == (
        "every 1 h 30 min",
        [],
        True,
        3600,
    )
    usual = terminal.data("schedules", "edit", added["id"], "--usual-hold", "--hard", "--daily-at", "04:00")
    assert (usual["hold_seconds"], usual["effective_hold_seconds"], usual["soft"]) == (None, 43_200, False)
    assert [record.action for record in services.audit.records(action="schedule.edited")] == ["schedule.edited"] * 3


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--every", "1h", "--daily-at", "03:00"),
        ("--on", "someday"),
        ("--every", "1h", "--on", "mon"),
        ("--hold", "1h", "--usual-hold"),
        ("--everything", "--older-than", "7d"),
        ("--name", "Taken"),
    ],
    ids=" ".join,
)
def test_what_is_no_edit_is_status_2_and_changes_nothing(terminal, services, options):
    added = terminal.data(*NIGHTLY)
    terminal.run("schedules", "add", "--name", "Taken", "--every", "1h", "--tag", "x")
    terminal.run("schedules", "edit", added["id"], *options, status=2)
    assert services.schedules.get(added["id"]).to_dict() == added
