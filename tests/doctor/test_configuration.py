"""The settings as the doctor shows them."""

from __future__ import annotations

from core.doctor.configuration import effective_settings
from core.settings import Settings


def test_settings_are_shown_with_where_they_come_from_and_without_secrets(monkeypatch):
    monkeypatch.setenv("ENCORE_REDIS_URL", "redis://anna:canary-1@cache.example:6380/2")
    monkeypatch.setenv("OPENAI_API_KEY", "canary-2")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://llm.example/v1")
    monkeypatch.setenv("ENCORE_GATEWAY_KEYS", "canary-4,canary-5")
    monkeypatch.setenv("ENCORE_TTL_CLASSES", '{"code": 60}')
    monkeypatch.setenv(
        "ENCORE_JUDGE_PARAMETERS",
        '{"reasoning_effort": "low", "extra_headers": {"X-Key": "canary-6"}, "api_key": "canary-7"}',
    )
    monkeypatch.setenv("ENCORE_JUDGE_MODEL", "sk-canary-8")
    shown = {setting.variable: setting for setting in effective_settings(Settings())}
    assert len(shown) == len(Settings.model_fields)
    assert "canary" not in " ".join(setting.value for setting in shown.values())
    assert shown["ENCORE_REDIS_URL"].value == "redis://anna:***@cache.example:6380/2"
    assert (shown["OPENAI_API_KEY"].value, shown["OPENAI_API_KEY"].is_set) == ("********", True)
    assert shown["ENCORE_GATEWAY_KEYS"].value == "2 set"
    judge = '{"reasoning_effort":"low","extra_headers":{"X-Key":"***"},"api_key":"***"}'
    assert shown["ENCORE_JUDGE_PARAMETERS"].value == judge
    assert shown["ENCORE_TTL_CLASSES"].value == '{"code":60.0}'
    assert (shown["ENCORE_STRATEGY"].value, shown["ENCORE_STRATEGY"].is_set) == ("normalized", False)
    assert all(setting.description for setting in shown.values())
