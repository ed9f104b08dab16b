"""A small OpenID Connect provider on this machine: discovery, a page to choose a person on, codes, signed ID tokens.

As strict as a real one where it matters to a client: the redirect address, the client's secret, PKCE and codes that
work once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Mapping
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID = "encore-console"
CLIENT_SECRET = "the-secret-of-the-console"


class OidcProvider:
    """Vouches for `people` (name -> claims). `age_seconds` is how long ago they logged in here."""

    def __init__(self, people: Mapping[str, Mapping[str, Any]]) -> None:
        self.people = dict(people)
        self.redirect_uri = ""
        self.age_seconds = 0.0
        self.logged_out = 0
        self._key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._get(self)

            def do_POST(self) -> None:
                provider._post(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.metadata_url = f"{self.issuer}/.well-known/openid-configuration"

    def __enter__(self) -> OidcProvider:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        address = urlsplit(request.path)
        query = dict(parse_qsl(address.query))
        match address.path:
            case "/.well-known/openid-configuration":
                _json(request, self._metadata())
            case "/jwks":
                _json(request, {"keys": [self._key.as_dict(private=False)]})
            case "/authorize":
                self._ask_who(request, query)
            case "/choose":
                code = secrets.token_urlsafe(16)
                self._codes[code] = query
                answer = urlencode({"code": code, "state": query["state"]})
                _redirect(request, f"{query['redirect_uri']}?{answer}")
            case "/logout":
                self.logged_out += 1
                _redirect(request, query["post_logout_redirect_uri"])
            case _:
                request.send_error(404)

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "end_session_endpoint": f"{self.issuer}/logout",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def _ask_who(self, request: BaseHTTPRequestHandler, query: dict[str, str]) -> None:
        if query.get("client_id") != CLIENT_ID or query.get("redirect_uri") != self.redirect_uri:
            request.send_error(400, "unknown client or redirect address")
            return
        links = [
            f'<p><a href="/choose?{escape(urlencode({**query, "who": name}))}">{escape(name)}</a></p>'
            for name in self.people
        ]
        _send(request, 200, "text/html", f"<title>Who are you?</title><h1>Who are you?</h1>{''.join(links)}".encode())

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0))).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self._codes.pop(form.get("code", ""), None)
        if not self._is_client(request, form) or asked is None or not _is_proved(asked, form):
            _json(request, {"error": "invalid_grant"}, status=400)
            return
        now = int(time.time() - self.age_seconds)
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": int(time.time()) + 300,
            "nonce": asked["nonce"],
            "sub": f"subject-of-{asked['who']}",
            **self.people[asked["who"]],
        }
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self._key)
        _json(request, {"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    def _is_client(self, request: BaseHTTPRequestHandler, form: dict[str, str]) -> bool:
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            name, _, secret = base64.b64decode(value).decode().partition(":")
            return (unquote(name), unquote(secret)) == (CLIENT_ID, CLIENT_SECRET)
        return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)


def _is_proved(asked: dict[str, str], form: dict[str, str]) -> bool:
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    return asked.get("code_challenge") == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _json(request: BaseHTTPRequestHandler, value: object, *, status: int = 200) -> None:
    _send(request, status, "application/json", json.dumps(value).encode())


def _redirect(request: BaseHTTPRequestHandler, address: str) -> None:
    request.send_response(302)
    request.send_header("Location", quote(address, safe=":/?&=%#+-._~"))
    request.send_header("Content-Length", "0")
    request.end_headers()


def _send(request: BaseHTTPRequestHandler, status: int, kind: str, body: bytes) -> None:
    request.send_response(status)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
