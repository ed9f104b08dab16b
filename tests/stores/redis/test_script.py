"""Lua scripts: each in a file of its own that says what it takes, which a server can load and a module uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis

from core.stores.redis.script import Script, load_script
from core.stores.redis.servers import OneServer
from core.stores.redis.store import request_client

ROOT = Path(__file__).parents[3]
SCRIPTS = sorted(path for folder in ("core", "workers") for path in (ROOT / folder).rglob("scripts/*.lua"))


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    return request_client(redis_url, 5)


def users(script: Path) -> list[Path]:
    """Modules beside the folder of scripts that load this one."""
    wanted = re.compile(rf'load_script\(\s*__file__,\s*"{script.stem}"')
    return [module for module in script.parent.parent.glob("*.py") if wanted.search(module.read_text())]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_says_what_it_takes_and_gives_and_is_used(script: Path):
    head, _, body = script.read_text().partition("\n\n")
    assert all(line.startswith("-- ") for line in head.splitlines())
    for part in ("KEYS", "ARGV", "Reply"):
        assert f"\n-- {part}: " in head
    assert body
    assert users(script)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_server_loads_every_script(client: redis.Redis, script: Path):
    assert client.script_load(script.read_text())


def test_no_script_is_written_in_python():
    modules = [*(ROOT / "core").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]
    assert [module for module in modules if "redis.call(" in module.read_text()] == []


def test_a_script_has_the_values_that_python_has(client: redis.Redis, tmp_path: Path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "all.lua").write_text("return {NUMBER, TEXT, LIST[1], LIST[2], #LIST}")
    every_byte = bytes(range(256))
    text = load_script(str(tmp_path / "module.py"), "all", NUMBER=134, TEXT=every_byte, LIST=(b"'\\\n", "é".encode()))
    assert Script(text)(OneServer(client), [b"any"], []) == [134, every_byte, b"'\\\n", "é".encode(), 2]


def test_a_script_that_the_server_has_forgotten_is_sent_again(client: redis.Redis):
    script, server = Script("return ARGV[1]"), OneServer(client)
    assert script(server, [b"any"], [b"once"]) == b"once"
    client.script_flush()
    assert script(server, [b"any"], [b"again"]) == b"again"
