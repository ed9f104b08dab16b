from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from core.errors import OutcomeUnknown, StoreUnavailable
from core.keys.names import Slot
from core.settings import Settings
from core.stores.redis.address import Address, ServerKind, parse_address
from core.stores.redis.embedded import ServerBinary
from core.stores.redis.store import RedisStore, patient_client
from tests.conftest import RedisServer
from tests.ports import free_port
from tests.samples import digest_of
from tests.stores.test_contract import put


@pytest.mark.parametrize(
    ("url", "kind", "nodes", "one", "rest"),
    [
        ("redis://h", ServerKind.ONE, (("h", 6379),), "redis://h", {}),
        (
            "rediss://u:p@h:1/2?ssl_ca_certs=x",
            ServerKind.ONE,
            (("h", 1),),
            "rediss://u:p@h:1/2?ssl_ca_certs=x",
            {"database": 2},
        ),
        ("unix://:p@/run/redis.sock?db=0", ServerKind.ONE, (), "unix://:p@/run/redis.sock?db=0", {}),
        ("redis://[::1]:7000/0", ServerKind.ONE, (("::1", 7000),), "redis://[::1]:7000/0", {}),
        ("redis+cluster://a:1,b,[::1]:3", ServerKind.CLUSTER, (("a", 1), ("b", 6379), ("::1", 3)), "redis://a:1", {}),
        ("rediss+cluster://u:p@a:1,b:2/0", ServerKind.CLUSTER, (("a", 1), ("b", 2)), "rediss://u:p@a:1/0", {}),
        (
            "redis+sentinel://:p@a,b:2/main/3",
            ServerKind.SENTINEL,
            (("a", 26_379), ("b", 2)),
            "redis://:p@a/3",
            {"service": "main", "database": 3, "sentinel_url": "redis://a"},
        ),
        (
            "redis+sentinel://:p@a:1/main?sentinel_username=ann&sentinel_password=s%2F1&socket_timeout=2",
            ServerKind.SENTINEL,
            (("a", 1),),
            "redis://:p@a:1?socket_timeout=2",
            {"service": "main", "sentinel_url": "redis://ann:s%2F1@a:1"},
        ),
        (
            "rediss+sentinel://a:1/main?ssl_ca_certs=x",
            ServerKind.SENTINEL,
            (("a", 1),),
            "rediss://a:1?ssl_ca_certs=x",
            {"service": "main", "sentinel_url": "rediss://a:1?ssl_ca_certs=x"},
        ),
        (
            "rediss+sentinel://a:1/main?ssl_ca_certs=x&sentinel_ssl=false",
            ServerKind.SENTINEL,
            (("a", 1),),
            "rediss://a:1?ssl_ca_certs=x",
            {"service": "main", "sentinel_url": "redis://a:1"},
        ),
        (
            "redis+sentinel://a:1/main?sentinel_ssl=true&sentinel_ssl_ca_certs=y",
            ServerKind.SENTINEL,
            (("a", 1),),
            "redis://a:1",
            {"service": "main", "sentinel_url": "rediss://a:1?ssl_ca_certs=y"},
        ),
    ],
)
def test_an_address_is_taken_apart(url, kind, nodes, one, rest):
    assert parse_address(url) == Address(kind=kind, nodes=nodes, url=one, **rest)
    assert Settings(redis_url=url).redis_url.get_secret_value() == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://h", "must begin with"),
        ("redis+many://h", "must begin with"),
        ("unix+cluster:///s", "must begin with"),
        ("h:6379", "must begin with"),
        ("redis://", "names no host"),
        ("redis+cluster://a,,b", "names no host"),
        ("redis://a,b", "names several hosts"),
        ("redis+cluster://a:port", "the port must be a number"),
        ("redis+cluster://a:0", "between 1 and 65535"),
        ("redis://[::1", "not a Redis URL"),
        ("redis://h/db", "the database"),
        ("redis://h/0/1", "the database"),
        ("redis+cluster://h/1", "no databases"),
        ("redis+sentinel://h", "names no service"),
        ("redis+sentinel://h/main/db", "the database"),
        ("redis+sentinel://h/main?sentinel_ssl=perhaps&sentinel_password=canary", "sentinel_ssl must be"),
        ("redis://h?sentinel_password=canary", "are for redis\\+sentinel"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(url, problem):
    with_secret = url.replace("://", "://user:canary@", 1)
    with pytest.raises(ValueError, match=problem) as caught:
        parse_address(with_secret)
    assert "canary" not in str(caught.value)


class Listening(RedisServer):
    """A server on a port: Sentinels do not do with sockets."""

    def _choose_url(self) -> str:
        (self._home / "redis.password").write_text("secret")
        return f"redis://:secret@127.0.0.1:{free_port()}/0"

    def _configuration(self, url: str) -> str:
        return super()._configuration(url).replace("requirepass", "masterauth secret\nrequirepass")


def test_a_sentinel_is_asked_for_the_primary_and_for_the_next_one(tmp_path: Path, redis_binary: ServerBinary):
    with (
        Listening(tmp_path / "a", binary=redis_binary, durable=False) as first,
        Listening(tmp_path / "b", binary=redis_binary, durable=False) as second,
    ):
        ports = [int(server.url.rpartition(":")[2].partition("/")[0]) for server in (first, second)]
        with second.client() as client:
            client.replicaof("127.0.0.1", str(ports[0]))
        port = free_port()
        configuration = tmp_path / "sentinel.conf"
        configuration.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
            f"sentinel monitor main 127.0.0.1 {ports[0]} 1\nsentinel auth-pass main secret\n"
            "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
        )
        sentinel = subprocess.Popen([redis_binary.path, configuration, "--sentinel"], stdout=subprocess.DEVNULL)
        try:
            store = RedisStore(patient_client(f"redis+sentinel://:secret@127.0.0.1:{port}/main", 2.0))
            slot = Slot("sentinel", 0)
            until(lambda: put(store, slot, "before") is not None)
            with redis.Redis(port=port) as asked:
                until(lambda: len(asked.sentinel_slaves("main")) == 1 and asked.sentinel_slaves("main")[0]["is_slave"])
                until(lambda: has(second, slot, "before"))
                first.kill()
                until(lambda: asked.sentinel_get_master_addr_by_name("main")[1] == ports[1])
            until(lambda: put(store, slot, "after") is not None)
            assert has(second, slot, "after")
            assert store.read(slot, [digest_of("before")])[0] != [None]
            store.close()
        finally:
            sentinel.kill()
            sentinel.wait()


@contextmanager
def a_sentinel(home: Path, binary: ServerBinary, *lines: str, port: int) -> Iterator[None]:
    configuration = home / "sentinel.conf"
    configuration.write_text("\n".join((f"dir {home}", "bind 127.0.0.1", *lines, "")))
    configuration.chmod(0o600)
    sentinel = subprocess.Popen([binary.path, configuration, "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        until(lambda: socket.create_connection(("127.0.0.1", port), 1).close() is None)
        yield
    finally:
        sentinel.kill()
        sentinel.wait()


def is_reached(url: str) -> bool:
    store = RedisStore(patient_client(url, 2.0))
    try:
        return put(store, Slot("sentinel", 0), "a question") is not None
    finally:
        store.close()


def test_sentinels_may_have_a_password_of_their_own(tmp_path: Path, redis_binary: ServerBinary):
    with Listening(tmp_path / "a", binary=redis_binary, durable=False) as server:
        port, of_server = free_port(), server.url.rpartition(":")[2].partition("/")[0]
        watch = (f"sentinel monitor main 127.0.0.1 {of_server} 1", "sentinel auth-pass main secret")
        with a_sentinel(tmp_path, redis_binary, f"port {port}", "requirepass canary%2", *watch, port=port):
            address = f"redis+sentinel://:secret@127.0.0.1:{port}/main"
            until(lambda: is_reached(f"{address}?sentinel_password=canary%252"))
            for wrong in ("", "?sentinel_password=canary"):
                with pytest.raises(
                    StoreUnavailable, match=r"Sentinels refuse the password.*sentinel_password"
                ) as caught:
                    is_reached(address + wrong)
                assert "canary" not in str(caught.value)


def test_sentinels_and_servers_may_speak_tls(tmp_path: Path, redis8_binary: ServerBinary):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    secure = (f"tls-cert-file {certificate}", f"tls-key-file {key}", f"tls-ca-cert-file {certificate}")
    port, of_sentinel = free_port(), free_port()
    options = (*secure, "tls-auth-clients no", "tls-replication yes", f"tls-port {port}")
    with (
        Listening(tmp_path / "a", binary=redis8_binary, durable=False, options=options),
        a_sentinel(
            tmp_path,
            redis8_binary,
            *(*secure, "tls-auth-clients no", "tls-replication yes", f"tls-port {of_sentinel}", "port 0"),
            *("requirepass canary", f"sentinel monitor main 127.0.0.1 {port} 1", "sentinel auth-pass main secret"),
            port=of_sentinel,
        ),
    ):
        url = f"rediss+sentinel://:secret@127.0.0.1:{of_sentinel}/main?ssl_ca_certs={certificate}"
        until(lambda: is_reached(f"{url}&sentinel_password=canary"))
        with pytest.raises((StoreUnavailable, OutcomeUnknown)):
            is_reached(f"{url}&sentinel_password=canary&sentinel_ssl=false")


def has(server: RedisServer, slot: Slot, prompt: str) -> bool:
    with server.client() as client:
        return bool(client.exists(slot.entry(digest_of(prompt))))


def until(is_so) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            if is_so():
                return
        except Exception:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline
        time.sleep(0.05)
