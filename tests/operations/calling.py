"""A client of the operations API, and of the gateway that it belongs to."""

from __future__ import annotations

from typing import Any

import httpx2

from core.access import AuditRecord
from tests.http.running import RunningGateway

PROBLEM = "application/problem+json"


class Api:
    """Calls one gateway. `key` is the operation key that it gives."""

    def __init__(self, http: httpx2.Client, gateway: RunningGateway, key: str | None = None) -> None:
        self.http = http
        self.gateway = gateway
        self.services = gateway.services
        self.key = key
        self.url = f"{gateway.root}/encore/v1"

    def by(self, key: str | None) -> Api:
        """The same API with another key."""
        return Api(self.http, self.gateway, key)

    def send(self, method: str, path: str, headers: dict[str, str] | None = None, **options: Any) -> httpx2.Response:
        own = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        return self.http.request(method, self.url + path, headers=own | (headers or {}), **options)

    def get(self, path: str, **parameters: Any) -> Any:
        response = self.send("GET", path, params=parameters)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = self.send("POST", path, headers=named, **({} if body is None else {"json": body}))
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, status: int, method: str, path: str, **options: Any) -> dict[str, Any]:
        """The problem that a request gets."""
        return problem(self.send(method, path, **options), status)

    def recorded(self, action: str) -> list[AuditRecord]:
        """The audit records of an action, or of all of a thing, in the test's namespace; the latest first."""
        audit, namespace = self.services.audit, self.services.settings.namespace
        logs = (audit.records(action=action, namespace=namespace, machines=machines) for machines in (False, True))
        return sorted((record for log in logs for record in log), key=lambda record: record.at, reverse=True)

    def ask(self, text: str, *tags: str, **headers: str) -> str:
        """What the gateway answers to a question, with its cache status in front."""
        given = {"X-Encore-Tags": ",".join(tags)} if tags else {}
        return self.complete([{"role": "user", "content": text}], given | headers)

    def complete(self, messages: list[dict[str, str]], headers: dict[str, str] | None = None) -> str:
        """The same of a whole conversation."""
        response = self.http.post(
            f"{self.gateway.url}/chat/completions",
            headers={"Authorization": "Bearer sk-of-a-caller"} | (headers or {}),
            json={"model": "gpt-4o", "messages": messages},
        )
        assert response.status_code == 200, response.text
        state = response.headers["cache-status"].removeprefix("encore; ").partition(";")[0]
        return f"{state}: {response.json()['choices'][0]['message']['content']}"


def problem(response: httpx2.Response, status: int) -> dict[str, Any]:
    """The problem in a response, with all members that every problem has."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    assert not [name for name in response.headers if name.startswith("access-control-")]
    found = response.json()
    assert found.keys() >= {"type", "title", "status", "detail", "way_out"}
    assert found["status"] == status
    assert found["detail"]
    assert found["way_out"]
    return found


def kind(found: dict[str, Any]) -> str:
    return found["type"].rpartition("/")[2]
