"""A misspelt name of a setting is noticed: in `.env`, in the environment, in any case, without its value."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from core.bootstrap import bootstrap
from core.doctor.diagnosis import diagnose
from core.doctor.findings import Level
from core.settings import Settings, unknown_settings, variable
from core.stores import MemoryStore

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ENCORE_TTL_SECOND", "ENCORE_TTL_SECOND (did you mean ENCORE_TTL_SECONDS?)"),
        ("encore_semantik", "ENCORE_SEMANTIK (did you mean ENCORE_SEMANTIC?)"),
        ("ENCORE_OPENAI_API_KEY", "ENCORE_OPENAI_API_KEY (did you mean OPENAI_API_KEY?)"),
        ("ENCORE_NOTHING_LIKE_IT", "ENCORE_NOTHING_LIKE_IT"),
        ("ENCORE_PORT", "ENCORE_PORT"),
    ],
)
@pytest.mark.parametrize("in_file", [True, False], ids=[".env", "environment"])
def test_a_name_that_is_no_setting_is_named_with_what_is_meant(monkeypatch, tmp_path, name, said, in_file):
    if in_file:
        file = tmp_path / ".env"
        file.write_text(f"\ufeffexport {name}='canary'\n", encoding="utf-8")
        monkeypatch.setitem(Settings.model_config, "env_file", file)
    else:
        monkeypatch.setenv(name, "canary")
    assert unknown_settings() == f"Without effect, since there is no such setting: {said}."


def test_settings_and_what_is_not_ours_are_known(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.setenv(variable(name), "1")
    for name, value in (
        ("OPENAI_ORGANIZATION", "org-1"),
        ("ENCORE", "1"),
        ("ENCORE_EMPTY", ""),
        ("ENCORE_TEST_REDIS8", "/redis-server"),
        ("ENCORE_SERVICE_HOST", "10.0.0.1"),
        ("ENCORE_REDIS_SERVICE_PORT_TCP", "6379"),
        ("ENCORE_PORT", "tcp://10.0.0.1:8090"),
        ("ENCORE_PORT_8090_TCP_ADDR", "10.0.0.1"),
    ):
        monkeypatch.setenv(name, value)
    assert unknown_settings() == ""


def test_it_is_one_short_line_whatever_is_set(monkeypatch):
    for number in range(7):
        monkeypatch.setenv(f"ENCORE_{number}\n{'X' * 500}", "1")
    said = unknown_settings()
    assert said.endswith(" and 2 more.")
    assert "\n" not in said
    assert len(said) < 500


def test_a_file_that_cannot_be_read_is_said_where_the_settings_are_read(monkeypatch, tmp_path):
    file = tmp_path / ".env"
    file.write_bytes(b"ENCORE_TYPO=\xff")
    monkeypatch.setitem(Settings.model_config, "env_file", file)
    assert unknown_settings() == ""


def test_a_start_says_it_once_and_the_doctor_warns(monkeypatch, caplog):
    monkeypatch.setenv("ENCORE_TTL_SECOND", "60")
    with caplog.at_level(logging.WARNING, "encore.settings"), bootstrap(Settings(), store=MemoryStore(10)) as services:
        [warning] = [one for one in diagnose(services, outside=()).findings if one.area == "settings"]
    assert [record.message for record in caplog.records if record.name == "encore.settings"] == [warning.text]
    assert (warning.level, "did you mean ENCORE_TTL_SECONDS?" in warning.text) == (Level.WARNING, True)


def test_make_run_says_it_on_the_terminal(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-m", "core.launcher"],
        cwd=ROOT,
        env={"PATH": "", "ENCORE_HOME": str(tmp_path), "ENCORE_TYPO": "1", "ENCORE_REDIS_URL": "redis://127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.stdout.startswith("Without effect, since there is no such setting: ENCORE_TYPO.\n")
