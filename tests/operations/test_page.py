"""The page of the documentation: each of its commands is run as it stands, by a shell and curl, in its order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from core.access import Role, new_operation_key
from tests.conftest import missing
from tests.http.running import ROOT
from tests.operations.calling import Api

PAGE = ROOT / "docs" / "operations-api.md"
COMMANDS = re.findall(r"^```sh\n(.+?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def curl() -> None:
    if shutil.which("curl") is None:
        missing("needs curl")


def values(api: Api) -> dict[str, str]:
    """What the page leaves to its reader: ids and tokens of earlier answers."""

    def invalidated(tag: str) -> str:
        done = api.post("/invalidations", {"criteria": {"tags": [tag]}})
        return str(done["invalidations"][0]["id"])

    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": "How do I activate my card?"}]}
    for question in ("What is a branch?", "What is a card?"):
        api.ask(question)
    schedule = {"name": "daily", "criteria": {"tags": ["one"]}, "daily_at": "03:30"}
    others = {
        "ENTRY": api.post("/explain", request | {"temperature": 0.2})["key"],
        "WRONG": api.get("/entries")["items"][0]["key"],
        "SCHEDULE": api.post("/schedules", schedule)["id"],
        "MARK": api.post("/marks", {"name": "v1.1"})["id"],
        "NAMESPACE": api.services.settings.namespace,
    }
    api.post(f"/entries/{others['WRONG']}/correct", {"answer": "A piece of plastic."})
    [version] = api.get(f"/entries/{others['WRONG']}/versions")["items"]
    others["VERSION"] = str(version["replaced_at"])
    preview = api.post("/invalidations", {"criteria": {"pattern": "*refund*"}, "dry_run": True})["preview"]
    return others | {"ID": invalidated("one"), "OTHER_ID": invalidated("other"), "TOKEN": preview["token"]}


@pytest.mark.usefixtures("curl")
def test_every_command_of_the_page_does_what_it_says(start, tmp_path: Path, namespace):
    key, kept = new_operation_key("wiki", Role.ADMIN)
    api = start(key=key, operation_keys=kept.line, strategy="semantic", semantic="serve")
    (tmp_path / ".curlrc").write_text("silent\nshow-error\nfail-with-body\n")
    given = values(api)
    for command in COMMANDS:
        if command.startswith("API="):
            continue

        environment = {**os.environ, "CURL_HOME": str(tmp_path), "API": api.url, "KEY": key, **given}
        run = subprocess.run(
            ["bash", "-ec", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, f"{command}\n{run.stdout}\n{run.stderr}"
        assert run.stdout.count("{"), command
    assert api.get(f"/invalidations/{given['ID']}")["state"] == "undone"


def test_every_operation_has_a_command(api):
    """Where a path has a parameter the page has a variable."""
    page = "\n".join(COMMANDS)
    for path, operations in api.get("/openapi.json")["paths"].items():
        words = re.escape(path.removeprefix("/encore/v1")).replace(r"\{", "{").replace(r"\}", "}")
        shown = re.compile(r"\$API" + re.sub(r"{\w+}", r"\\$\\w+", words) + r"(?=[\s?\"])")
        assert shown.search(page), f"{list(operations)} {path} is not on {PAGE.name}"
