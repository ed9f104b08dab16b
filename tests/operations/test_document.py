"""The OpenAPI document: valid to an independent judge, and true of what is answered to whatever is sent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from core.access import Role, new_operation_key
from core.cache import bypass
from core.operations.problems import KINDS
from tests.http.running import ROOT
from tests.operations.calling import PROBLEM

EXAMPLES = 10
"""Requests for each operation and each way to generate them."""


def test_it_is_valid(api):
    document = api.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_is_described_with_examples_and_its_errors(api):
    document = api.get("/openapi.json")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = f"{method} {path}"
            assert operation["description"], name
            assert {"200", "401", "403", "422", "429", "503"} <= operation["responses"].keys(), name
            for parameter in operation.get("parameters", ()):
                assert parameter.get("description"), f"{name}: {parameter['name']}"
            body = operation.get("requestBody", {}).get("content", {})
            assert all("examples" in form for form in body.values()), name
    for response in document["components"]["responses"].values():
        assert PROBLEM in response["content"]


def test_every_kind_of_problem_is_in_it(api):
    responses = api.get("/openapi.json")["components"]["responses"]
    assert {name for one in responses.values() for name in one["content"][PROBLEM]["examples"]} == set(KINDS)


@pytest.mark.slow
@pytest.mark.timeout(900)  # thousands of requests
def test_whatever_is_sent_is_answered_as_the_document_says(start, tmp_path, monkeypatch):
    """Schemathesis makes requests from the document, right and wrong ones, and holds the answers against it."""
    monkeypatch.setattr(bypass, "COPY_SECONDS", 0.0)  # a turn of the switch waits so long for other processes
    key, kept = new_operation_key("schemathesis", Role.ADMIN)
    api = start(key=key, operation_keys=kept.line, operation_rate=1_000_000)
    program = Path(sys.executable).with_name("schemathesis")
    run = subprocess.run(
        [
            *(program, "run", f"{api.url}/openapi.json", "--header", f"Authorization: Bearer {key}"),
            *("--max-examples", str(EXAMPLES), "--generation-deterministic"),
            *("--no-color", "--workers", "1"),
            # Which criteria exclude each other, and which cursors there are, is said by core and not by a schema.
            *("--exclude-checks", "positive_data_acceptance"),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.operations.hooks"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-5000:]
