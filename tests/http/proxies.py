"""nginx, HAProxy and Caddy with the files of docs/production.md, in front of a gateway."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conftest import missing
from tests.http.running import PATIENCE_SECONDS, ROOT, until
from tests.ports import free_port

NAME = "llm.example.org"
PAGE = ROOT / "docs" / "production.md"


def documented(language: str, number: int = 0) -> str:
    """The configuration of the page, by its language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)[number]


def certificate(home: Path) -> tuple[Path, Path]:
    """A certificate for the name, and its key; the first file holds both. The same one for the same home."""
    files = home / "llm.pem", home / "llm.key"
    if files[0].exists():
        return files
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    begin = datetime.now(UTC) - timedelta(days=1)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=30))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(NAME), x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    keys = key.private_bytes(*plain)
    files[0].write_bytes(signed.public_bytes(serialization.Encoding.PEM) + keys)
    files[1].write_bytes(keys)
    return files


class Proxy:
    """A running proxy. `port`, a free one, speaks TLS with the `certificate`."""

    def __init__(self, kind: str, text: str, home: Path, gateway_port: int, port: int = 0) -> None:
        program = shutil.which(kind, path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            missing(f"needs {kind}: install the distribution's")
        self.port = port or free_port()
        pem, key = certificate(home)
        text = text.replace("127.0.0.1:8090", f"127.0.0.1:{gateway_port}")
        text = text.replace("/etc/ssl/llm.pem", str(pem)).replace("/etc/ssl/llm.key", str(key))
        config = home / "proxy.conf"
        command, config_text = getattr(self, f"_{kind}")(text, home, config)
        config.write_text(config_text)
        self._log = home / "proxy.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, *command], stdout=log, stderr=log, env={"HOME": str(home), "PATH": "/usr/bin"}
            )
        until(lambda: self._process.poll() is not None or self._listens())
        assert self._process.poll() is None, self.said

    def _nginx(self, text: str, home: Path, config: Path) -> tuple[list[str], str]:
        text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl")
        kept = "".join(
            f"{name}_temp_path {home}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        own = f"daemon off; worker_processes 1; pid {home}/nginx.pid; error_log stderr;\nevents {{}}\n"
        return ["-c", str(config), "-p", str(home)], f"{own}http {{\naccess_log off;\n{kept}{text}\n}}\n"

    def _haproxy(self, text: str, home: Path, config: Path) -> tuple[list[str], str]:
        return ["-db", "-f", str(config)], text.replace("bind :443", f"bind 127.0.0.1:{self.port}")

    def _caddy(self, text: str, home: Path, config: Path) -> tuple[list[str], str]:
        own = "{\n admin off\n auto_https disable_redirects\n}\n"
        site = f"https://{NAME}:{self.port} {{\n tls {home}/llm.pem {home}/llm.key\n"
        return ["run", "--adapter", "caddyfile", "--config", str(config)], own + text.replace(f"{NAME} {{\n", site)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def said(self) -> str:
        """What it has written."""
        return self._log.read_text()

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_SECONDS)
        finally:
            self._process.kill()
