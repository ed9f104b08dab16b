"""The commands about marks on charts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.test_commands import Terminal


@pytest.fixture
def terminal(redis_server, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """On a server of its own: the marks are those of a whole installation."""
    monkeypatch.setenv("ENCORE_REDIS_URL", redis_server().url)
    monkeypatch.setenv("LOGNAME", "anna")
    return Terminal()


def test_a_deploy_is_marked_listed_and_removed(terminal):
    assert terminal.run("mark", "v1.2").startswith("Marked v1.2 on the charts at 2")
    [mark] = terminal.data("marks")
    assert (mark["name"], mark["actor"], mark["namespace"]) == ("v1.2", "anna", None)
    assert f"{mark['id']}  " in terminal.run("marks", "list")
    assert terminal.run("marks", "remove", mark["id"]) == "Removed v1.2.\n"
    assert terminal.run("marks") == "There are no marks.\n"
    terminal.run("marks", "remove", mark["id"], status=3)


def test_a_time_is_in_utc_unless_it_says(terminal):
    moment = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    shifted = moment.astimezone(datetime.strptime("+0130", "%z").tzinfo)
    for written in (f"{moment:%Y-%m-%dT%H:%M:%S}", shifted.isoformat()):
        assert terminal.data("mark", "v1.2", "--at", written, "--namespace", "shop")["at"] == moment.timestamp()
    [mark] = terminal.data("marks")
    assert mark["namespace"] == "shop"
    assert "--at takes a time" in terminal.run("mark", "v1.2", "--at", "yesterday", status=2)
    assert "within the last 90 days" in terminal.run("mark", "v1.2", "--at", "2020-01-01", status=2)


def test_what_is_no_name_is_refused_by_its_field(terminal):
    assert "name: " in terminal.run("mark", "a\nb", status=2)
    assert "name: " in terminal.run("mark", "", status=2)
