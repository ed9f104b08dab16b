"""The launcher with real processes: what it says, the order in which it stops, and what is left afterwards."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from core.launcher import PartFailed, free_port, is_impatient
from core.stores.redis.embedded import running_url
from core.text.redaction import masked
from tests.processes import hearing_signals

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("workers:serve", "gateway:serve", "console:serve")
SECONDS = 120


class Run:
    """A launcher in a process and session of its own, as a terminal would hold it."""

    def __init__(self, home: Path, *command: str, **environment: str) -> None:
        self.home = home
        with hearing_signals():
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.said: list[str] = []

    def read_until(self, start: str) -> str:
        """Reads lines up to one that begins so, and returns that one."""
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if line.startswith(start):
                return line.rstrip()
        raise AssertionError(f"ended without saying {start!r}:\n" + "\n".join(self.said))

    def wait_for(self, start: str) -> str:
        """The first line that begins so, said already or still to come: parts speak in any order."""
        return next((line for line in self.said if line.startswith(start)), None) or self.read_until(start)

    def press_ctrl_c(self) -> None:
        """As a terminal does: the whole group is interrupted."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> int:
        """Waits for the end and returns the exit status; `said` is then complete."""
        self.said += self.process.stdout.read().splitlines()
        return self.process.wait(SECONDS)

    @property
    def text(self) -> str:
        return "\n".join(self.said)

    @property
    def events(self) -> list[str]:
        return (self.home / "events").read_text().splitlines()

    @property
    def pids(self) -> dict[str, int]:
        found = (re.fullmatch(r"(\w+) pid (\d+)", event) for event in self.events)
        return {match[1]: int(match[2]) for match in found if match}


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def launch(home: Path, redis_binary: object) -> Iterator:
    runs: list[Run] = []

    def start(*parts: str) -> Run:
        runs.append(Run(home, "-m", "tests.launched", str(home), *parts))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            os.killpg(run.process.pid, signal.SIGTERM)
            run.end()
        run.process.stdout.close()


def test_every_part_gets_one_line_when_it_is_ready_and_the_password_none(launch, home):
    run = launch(*PARTS)
    run.read_until("Ctrl-C")
    password = (home / "redis.password").read_text()

    assert f"redis    unix://:***@{home}/redis.sock" in run.said
    for name in ("workers", "gateway", "console"):
        (line,) = [line for line in run.said if line.startswith(name)]
        assert re.fullmatch(rf"{name:<8} http://127\.0\.0\.1:\d+", line)
    assert password not in run.text


def test_ctrl_c_ends_the_parts_before_redis_and_leaves_nothing(launch, home):
    run = launch(*PARTS)
    run.read_until("Ctrl-C")
    run.press_ctrl_c()

    assert run.end() == 0
    assert [event for event in run.events if "pid" not in event and "ended" not in event] != []
    for name, pid in run.pids.items():
        assert f"{name} ended, redis answered True" in run.events
        assert not is_running(pid)
    assert running_url(home) is None
    assert "Traceback" not in run.text


def test_ctrl_c_reaches_the_launcher_alone_and_the_parts_are_asked_once(launch):
    run = launch(*PARTS)
    run.read_until("Ctrl-C")
    run.press_ctrl_c()
    run.end()
    signals = sorted(event for event in run.events if "SIG" in event)
    assert signals == ["console SIGTERM", "gateway SIGTERM", "workers SIGTERM"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_requests_to_end_are_orderly_too(launch, home, number):
    run = launch(*PARTS)
    run.read_until("Ctrl-C")
    run.process.send_signal(number)
    assert run.end() == 0
    assert not any(map(is_running, run.pids.values()))
    assert running_url(home) is None


def test_a_request_to_end_that_comes_twice_is_one(launch):
    run = launch(*PARTS)
    run.read_until("Ctrl-C")
    run.process.send_signal(signal.SIGTERM)
    run.read_until("stopping")
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 0
    assert len([event for event in run.events if event.endswith("redis answered True")]) == len(PARTS)


@pytest.mark.parametrize(
    ("number", "after_seconds", "at_once"),
    [
        (signal.SIGINT, 0.01, False),  # one press, heard from the terminal and from make
        (signal.SIGINT, 0.6, True),
        (signal.SIGTERM, 5, False),
        (signal.SIGHUP, 5, False),
    ],
)
def test_only_a_later_ctrl_c_is_impatience(number, after_seconds, at_once):
    assert is_impatient(number, after_seconds=after_seconds) is at_once


def test_a_second_ctrl_c_kills_a_part_that_does_not_listen(launch, home):
    run = launch("workers:serve", "console:stubborn")
    run.read_until("Ctrl-C")
    run.press_ctrl_c()
    run.read_until("stopping")
    for _ in range(SECONDS * 10):
        try:
            run.process.wait(0.1)
            break
        except subprocess.TimeoutExpired:
            run.press_ctrl_c()

    assert run.end() == 130
    assert not is_running(run.pids["console"])
    assert running_url(home) is None


def test_a_part_that_ends_by_itself_ends_the_rest_with_its_last_words(launch, home):
    run = launch("workers:serve", "console:die")
    assert run.end() == 1
    assert "console ended by itself (exit status 1)" in run.text
    assert "the last words of console" in run.text
    assert not any(map(is_running, run.pids.values()))
    assert running_url(home) is None


def test_a_part_that_is_killed_is_named_with_the_signal(launch):
    run = launch(*PARTS)
    run.read_until("Ctrl-C")
    os.kill(run.pids["gateway"], signal.SIGKILL)
    assert run.end() == 1
    assert "gateway ended by itself (signal SIGKILL)" in run.text


def test_the_end_of_redis_ends_the_rest(launch, home):
    run = launch("workers:stubborn")
    run.read_until("Ctrl-C")
    with redis.Redis.from_url(running_url(home)) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
    run.read_until("redis ended by itself (signal SIGKILL)")
    run.process.send_signal(signal.SIGTERM)
    os.kill(run.pids["workers"], signal.SIGKILL)
    assert run.end() == 1


def test_a_second_launcher_on_the_same_home_is_refused_and_the_first_goes_on(launch, home):
    first = launch("console:serve")
    first.read_until("Ctrl-C")
    second = launch("console:serve")
    assert second.end() == 1
    assert f"Encore already runs in {home} (process {first.process.pid})" in second.text
    assert is_running(first.pids["console"])
    assert running_url(home) is not None


def test_data_and_logs_are_there_after_a_restart(launch, home):
    for _ in range(2):
        run = launch("console:serve")
        run.read_until("Ctrl-C")
        run.press_ctrl_c()
        assert run.end() == 0
    assert (home / "logs" / "console.log").exists()
    assert len(run.pids) == 1


def test_what_a_part_says_of_itself_is_said_on_the_terminal_and_nothing_else_of_its_log(launch, home):
    run = launch("workers:speak", "console:serve")
    assert run.wait_for("workers  ") == "workers  keep ending: \N{REPLACEMENT CHARACTER} [31m", "on one line, as text"
    run.wait_for("Ctrl-C")
    assert "a line of the log" in (home / "logs" / "workers.log").read_text()
    assert "a line of the log" not in run.text


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child's life to its parent's")
def test_parts_and_redis_follow_a_launcher_that_was_killed(launch, home):
    run = launch(*PARTS)
    run.read_until("Ctrl-C")
    handles = [os.fdopen(os.pidfd_open(pid)) for pid in run.pids.values()]
    run.process.kill()
    for handle in handles:
        with handle:
            assert select.select([handle], [], [], SECONDS)[0] == [handle]
    while running_url(home) is not None:
        pass  # ends with the server, or with the test's time


def status_of(url: str) -> int:
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return answer.status


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("folder", "address", "at"),
    [("home", "127.0.0.1", "127.0.0.1"), ("""a b=c#d?e%20'f"g\\h&i;Zażółć""", "::1", "[::1]")],
)
def test_the_whole_of_encore_starts_answers_and_stops_without_a_traceback(tmp_path, redis_binary, folder, address, at):
    home = tmp_path / folder
    run = Run(
        home,
        "-m",
        "core.launcher",
        ENCORE_HOME=str(home),
        ENCORE_CONSOLE_PORT="28501",
        ENCORE_GATEWAY_PORT="28090",
        ENCORE_GATEWAY_HOST=address,
        STREAMLIT_SERVER_ADDRESS=address,
    )
    try:
        run.wait_for("workers  2 ready")
        run.wait_for("Ctrl-C")
        lines = dict(line.split(maxsplit=1) for line in run.said)
        assert re.fullmatch(rf"http://{re.escape(at)}:\d+", lines["console"])
        assert re.fullmatch(rf"http://{re.escape(at)}:\d+/v1", lines["gateway"])
        of_file = f"unix://:***@{quote(str(home))}/redis.sock"
        # A path that is too long for a socket gives way to a port.
        assert lines["redis"] == of_file or re.fullmatch(r"redis://:\*\*\*@127\.0\.0\.1:\d+/0", lines["redis"])
        assert lines["model"].startswith("demo")
        assert status_of(f"{lines['console']}/_stcore/health") == 200
        assert status_of(f"{lines['gateway'].removesuffix('/v1')}/healthz") == 200
        run.press_ctrl_c()
        assert run.end() == 0
    finally:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGTERM)
            run.end()
        run.process.stdout.close()
    logs = "".join(log.read_text() for log in (home / "logs").iterdir())
    assert "Traceback" not in run.text + logs
    assert "killed" not in run.text + logs


def test_settings_that_cannot_be_used_are_all_named_before_anything_starts(tmp_path, monkeypatch):
    run = Run(
        tmp_path / "home",
        "-m",
        "core.launcher",
        ENCORE_HOME=str(tmp_path / "home"),
        ENCORE_CONSOLE_PORT="0",
        ENCORE_STRATEGY="psychic",
    )
    assert run.end() == 1
    assert "ENCORE_CONSOLE_PORT" in run.text
    assert "ENCORE_STRATEGY" in run.text
    assert "Traceback" not in run.text
    assert not (tmp_path / "home").exists()
    run.process.stdout.close()


def test_a_given_redis_that_is_not_there_is_said_with_the_ways_out_and_without_its_password(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    run = Run(
        tmp_path, "-m", "core.launcher", ENCORE_HOME=str(tmp_path), ENCORE_REDIS_URL=f"redis://:hush@127.0.0.1:{port}/0"
    )
    assert run.end() == 1
    assert f"redis://:***@127.0.0.1:{port}/0" in run.text
    assert "unset it" in run.text
    assert "hush" not in run.text
    assert "Traceback" not in run.text
    run.process.stdout.close()


def test_a_busy_port_gives_way_to_the_next_free_one_and_says_so(capsys):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        chosen = free_port(port, name="console")
    assert port < chosen < port + 100
    assert capsys.readouterr().out == f"port {port} is busy: the console is on {chosen}\n"


def test_a_free_port_is_taken_without_a_word_and_not_twice(capsys):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert free_port(port, name="gateway") == port
    assert capsys.readouterr().out == ""
    assert free_port(port, name="console", taken={port}) > port


def test_without_any_free_port_the_setting_is_named():
    with pytest.raises(PartFailed, match="ENCORE_CONSOLE_PORT"):
        free_port(65535, name="console", taken={65535})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:secret@host:1/0", "redis://:***@host:1/0"),
        ("rediss://app:se@cret@host/2?password=secret", "rediss://app:***@host/2"),
        ("unix://:secret@/run/redis.sock?db=0", "unix://:***@/run/redis.sock"),
        ("https://key:secret@gateway.example/v1", "https://key:***@gateway.example/v1"),
    ],
)
def test_a_url_is_shown_without_its_password(url, shown):
    assert masked(url) == shown
