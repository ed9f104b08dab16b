"""Every setting as people paste it: mended where that is plain, else refused by its name in one line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import SecretStr

from core.errors import InvalidSettings
from core.settings import Settings
from core.settings.mending import mended

JSON = {
    "ttl_classes": '{"code": 60}',
    "ttl_rules": '[{"name": "a", "ttl_class": "code", "words": ["a"]}]',
    "judge_models": '{"support": "gpt-4o"}',
    "judge_parameters": '{"reasoning_effort": "low"}',
    "role_values": '{"sre": "operator"}',
}
VALUES = JSON | {
    "redis_url": "redis://:hush@localhost:6379/0",
    "queue_redis_url": "unix:///run/redis.sock",
    "home": "/tmp/encore",
    "namespace": "shop",
    "strategy": "exact",
    "semantic": "judge",
    "semantic_index": "numpy",
    "embedder": "openai:text-embedding-3-small",
    "semantic_threshold": "0.9",
    "semantic_grey": "0.6",
    "judge_model": "gpt-4o-mini",
    "provider": "openai",
    "openai_api_key": "sk-hush",
    "openai_base_url": "https://llm.example.org/v1",
    "default_model": "gpt-4o",
    "gateway_host": "::1",
    "gateway_namespace": "shop",
    "gateway_keys": "hush-1,hush-2",
    "console_url": "https://encore.example.org",
    "oidc_client_id": "encore",
    "oidc_client_secret": "hush",
    "oidc_cookie_secret": "0123456789abcdef" * 2,
    "oidc_metadata_url": None,  # needs others beside it
    "role_claim": "groups",
    "admins": "a@example.org,@example.com",
    "operators": "a@example.org",
    "viewers": "a@example.org",
    "default_role": "viewer",
    "cli_role": "viewer",
}


def value_of(name: str) -> str | None:
    """A value of a setting as one writes it: from the table, else its default."""
    if name in VALUES:
        return VALUES[name]
    default = Settings.model_fields[name].default
    if isinstance(default, bool):
        return "true"
    if isinstance(default, int | float):
        return str(default)
    if any(kind in (int, float) for kind in get_args(Settings.model_fields[name].annotation)):
        return "2048"
    return None  # another subject's, whose kind this file does not know


NAMES = sorted(Settings.model_fields)
KNOWN = [name for name in NAMES if value_of(name) is not None]

AROUND = {
    "blanks": "  {} ",
    "a line end": "{}\n",
    "a line end of Windows": "{}\r\n",
    "a tab": "\t{}",
    "a mark of byte order": "\ufeff{}",
    "a blank that does not break": "{}\u00a0",
    "a space of no width": "\u200b{}\u200b",
    "double quotes": '"{}"',
    "single quotes": "'{}'",
    "curly quotes": "“{}”",
    "quotes with blanks and a line end": ' "{} "\n',
}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting comes from elsewhere."""
    for name in [name for name in os.environ if name.startswith(("ENCORE_", "OPENAI_"))]:
        monkeypatch.delenv(name)


def shown(value: Any) -> Any:
    """A value that can be compared."""
    if isinstance(value, tuple):
        return tuple(map(shown, value))
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def test_nearly_every_setting_is_tried() -> None:
    assert len(KNOWN) > 60


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("name", KNOWN)
def test_what_stands_around_a_value_is_no_part_of_it(name: str, around: str) -> None:
    value = value_of(name)
    assert value is not None
    if '"{' in AROUND[around] and name in JSON:  # as programs quote JSON
        value = value.replace('"', '\\"')
    plain = Settings(**{name: value_of(name)})
    pasted = Settings(**{name: AROUND[around].format(value)})
    assert shown(getattr(pasted, name)) == shown(getattr(plain, name))


@pytest.mark.parametrize("blank", ["", " ", "\n", "\ufeff", '""', "''", ' "" ', "\u200b"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_empty_is_unset(name: str, blank: str) -> None:
    assert getattr(Settings(**{name: blank}), name) == getattr(Settings(), name)


@pytest.mark.parametrize("name", [name for name in KNOWN if name not in JSON])
def test_a_control_character_within_a_value_is_refused_by_name(name: str) -> None:
    value = value_of(name)
    assert value is not None
    with pytest.raises(InvalidSettings) as error:
        Settings(**{name: value[:1] + "\x00" + value[1:]})
    [problem] = error.value.problems
    assert problem.startswith(f"{'' if name.startswith('openai_') else 'ENCORE_'}{name.upper()}")
    assert "\n" not in problem
    assert "hush" not in problem


@pytest.mark.parametrize(
    ("text", "is_meant"),
    [
        ("plain", "plain"),
        ('"quoted"', "quoted"),
        ('"one" and "two"', '"one" and "two"'),
        ('"', '"'),
        ("it's", "it's"),
        ("'it's'", "'it's'"),
        ('"half', '"half'),
        ("\"mixed'", "\"mixed'"),
        ("  a b  ", "a b"),
        ('"\ufeff a \n"', "a"),
        ("«a»", "a"),
    ],
)
def test_only_one_plain_pair_of_quotes_is_taken_away(text: str, is_meant: str) -> None:
    assert mended(text) == is_meant


MENDED: list[tuple[str, str, Any]] = [
    ("openai_api_key", "Bearer sk-1", "sk-1"),
    ("openai_api_key", "OPENAI_API_KEY=sk-1", "sk-1"),
    ("openai_api_key", "export OPENAI_API_KEY=sk-1", "sk-1"),
    ("openai_api_key", "OPENAI_API_KEY='sk-1';", "sk-1"),
    ("openai_api_key", 'AZURE_OPENAI_API_KEY = "sk-1"', "sk-1"),
    ("openai_api_key", "OPENAI_API_KEY=Bearer sk-1", "sk-1"),
    ("openai_api_key", "sk-1;", "sk-1"),
    ("openai_api_key", "sk-1,", "sk-1"),
    ("openai_api_key", "QUJD_RA==", "QUJD_RA=="),
    ("openai_api_key", "AB_C=", "AB_C="),
    ("openai_api_key", "sk_live_A=b", "sk_live_A=b"),
    ("gateway_keys", "ENCORE_GATEWAY_KEYS=one,two", ("one", "two")),
    ("openai_base_url", "https://llm.example.org/v1;", "https://llm.example.org/v1"),
    ("openai_base_url", "https://llm.example.org/v1,", "https://llm.example.org/v1"),
    ("openai_base_url", "https://llm.example.org/v1/chat/completions;", "https://llm.example.org/v1"),
    ("openai_base_url", "https://llm.example.org/v;1/a,b", "https://llm.example.org/v;1/a,b"),
    ("openai_base_url", "https://llm.example.org/v1/chat/completions", "https://llm.example.org/v1"),
    ("openai_base_url", "https://llm.example.org/v1/chat/completions/", "https://llm.example.org/v1"),
    ("openai_base_url", "https://llm.example.org/v1/responses", "https://llm.example.org/v1"),
    ("openai_base_url", "https://llm.example.org/v1/embeddings", "https://llm.example.org/v1"),
    ("openai_base_url", "https://llm.example.org/v1/", "https://llm.example.org/v1/"),
    ("openai_base_url", "https://llm.example.org/models/v1", "https://llm.example.org/models/v1"),
    ("openai_base_url", "HTTPS://llm.example.org/V1", "https://llm.example.org/V1"),
    ("openai_base_url", "https://api.openai.com", "https://api.openai.com/v1"),
    ("openai_base_url", "https://api.openai.com/", "https://api.openai.com/v1"),
    ("openai_base_url", "http://127.0.0.1:4000", "http://127.0.0.1:4000"),
    ("openai_base_url", "http://[::1]:11434/v1", "http://[::1]:11434/v1"),
    ("gateway_host", "[::1]", "::1"),
    ("gateway_keys", '["one", "two"]', ("one", "two")),
    ("gateway_keys", "\"one\", 'two',\n three ,", ("one", "two", "three")),
    ("gateway_keys", "a phrase of words", ("a phrase of words",)),
    ("gateway_keys", "Bearer one", ("one",)),
    ("admins", "a@b.c; d@e.f,\n@g.h", ("a@b.c", "d@e.f", "@g.h")),
    ("admins", '["A@b.c"]', ("a@b.c",)),
    ("redis_url", "REDIS://localhost:6379", "redis://localhost:6379"),
    ("redis_url", "redis://localhost?socket_timeout=2", "redis://localhost?socket_timeout=2"),
    ("log_hits", "On", True),
    ("log_hits", "YES", True),
    ("record_prompts", "off", False),
    ("record_prompts", "0", False),
    ("strategy", "Exact", "exact"),
    ("provider", "OpenAI", "openai"),
    ("workers", "4.0", 4),
    ("home", "~/encore", Path("~/encore").expanduser()),
    ("ttl_classes", '"{\\"code\\": 60}"', {"code": 60}),
]


@pytest.mark.parametrize(("name", "text", "is_meant"), MENDED)
def test_what_is_plainly_meant_is_mended(name: str, text: str, is_meant: Any) -> None:
    assert shown(getattr(Settings(**{name: text}), name)) == is_meant


REFUSED = [
    ("openai_api_key", "sk-hush and more", "has a blank or a character that no header can carry"),
    ("openai_api_key", "sk-hush\u2026", "has a blank or a character that no header can carry"),
    ("openai_api_key", "sk-\nhush", "has a line break"),
    ("openai_base_url", "api.example.org/v1", "must begin with http:// or https:// and name a host"),
    ("openai_base_url", "localhost:11434", "must begin with http:// or https:// and name a host"),
    ("openai_base_url", "//api.example.org/v1", "must begin with http:// or https:// and name a host"),
    ("openai_base_url", "https:/api.example.org/v1", "must begin with http:// or https:// and name a host"),
    ("openai_base_url", "https://", "must begin with http:// or https:// and name a host"),
    ("openai_base_url", "https://llm.example.org/v1?api-version=hush", "must not have a query"),
    ("openai_base_url", "https://llm.example.org/v1?", "must not have a query"),
    ("openai_base_url", "https://llm.example.org/v1#hush", "must not have a query"),
    ("openai_base_url", "https://llm.example.org /v1", "has a blank or a backslash"),
    ("openai_base_url", "https:\\\\llm.example.org", "has a blank or a backslash"),
    ("openai_base_url", "https://llm.example.org:hush/v1", "is no address"),
    ("openai_base_url", "https://[::1/v1", "is no address"),
    ("openai_base_url", "https://anna:hush@llm.example.org/v1", "must not have a user or a password"),
    ("openai_base_url", "https://hush@llm.example.org/v1", "must not have a user or a password"),
    ("openai_base_url", "http://a.example/v1,http://b.example/v1", "has more than one address in it"),
    ("openai_base_url", "http://a.example/v1;https://b.example/v1", "has more than one address in it"),
    ("openai_base_url", "http://http://a.example/v1", "has more than one address in it"),
    ("openai_base_url", "https://http://a.example/v1", "has more than one address in it"),
    ("plain_prompts", "You are a bot, hush", "not JSON"),
    *(("gateway_root_path", path, "give only what a proxy has before /v1") for path in ("/v1", "/v1/", "/llm/v1")),
    *(("gateway_root_path", path, "give only what a proxy has before /v1") for path in ("/openai", "/openai/v1")),
    ("gateway_host", "http://0.0.0.0", "give an address or a name alone"),
    ("gateway_host", "0.0.0.0:8090", "give an address or a name alone"),
    ("gateway_host", "*", "give an address or a name alone"),
    ("gateway_keys", "hush\u00e9", "one of them has a character that no header can carry"),
    ("gateway_keys", '["hush", 1]', "separate them by commas"),
    ("admins", "a@b.c d@e.f", "a@b.c d@e.f is neither an e-mail address nor a @domain"),
    ("admins", "a@b.c,sk-hush12345", "*** is neither an e-mail address nor a @domain"),
    ("redis_url", "localhost:6379", "must begin with redis://"),
    ("redis_url", "redis-cli -u redis://:hush@localhost", "has a blank or a #"),
    ("redis_url", "redis://:hu#sh@localhost", "has a blank or a #"),
    ("redis_url", "unix:///a b/redis.sock", "has a blank or a #"),
    ("redis_url", "redis://localhost?hush=1", "has an option (after the ?) that is none"),
    ("redis_url", "redis://localhost?socket_timeout=hush", "has an option (after the ?) that is none"),
    *(
        ("redis_url", f"redis+{kind}://127.0.0.1:1{service}?{option}", "has an option (after the ?) that is none")
        for kind, service in (("cluster", ""), ("sentinel", "/mymaster"))
        for option in ("hush=1", "socket_timeout=hush", "health_check_interval=hush", "ssl_hush=1")
    ),
    *(
        ("redis_url", f"redis+sentinel://127.0.0.1:1/mymaster?{option}", "has an option (after the ?) that is none")
        for option in ("sentinel_pasword=hush", "sentinel_db=hush", "sentinel_socket_timeout=hush", "sentinel_=hush")
    ),
    ("console_url", "encore.example.org", "must begin with http:// or https:// and name a host"),
    ("console_url", "https://encore.example.org:hush", "is no address"),
    ("oidc_metadata_url", "id.example.org", "must begin with http:// or https:// and name a host"),
    ("workers", "2,000", "give a whole number alone, without unit"),
    ("workers", "2 workers", "give a whole number alone, without unit"),
    ("workers", "2.5", "give a whole number"),
    ("ttl_seconds", "1h", "give a number alone, without unit"),
    ("ttl_seconds", "1,5", "give a number alone, without unit"),
    ("ttl_jitter", "5%", "give a number alone, without unit"),
    ("log_hits", "enabled", "use true or false"),
    ("strategy", "exact!", "use exact, normalized or semantic"),
    ("ttl_classes", "{'code': 3600}", "not JSON"),
    ("judge_parameters", "“hush”: 1", "not JSON"),
]


@pytest.mark.parametrize(("name", "text", "problem"), REFUSED)
def test_what_is_not_plain_is_refused_in_one_line_without_what_was_given(name: str, text: str, problem: str) -> None:
    with pytest.raises(InvalidSettings) as error:
        Settings(**{name: text})
    [said] = error.value.problems
    variable, _, words = said.partition(": ")
    assert variable == (name.upper() if name.startswith("openai_") else f"ENCORE_{name.upper()}")
    assert words.startswith(problem)
    assert "\n" not in said
    assert "hush" not in said


def test_the_env_file_may_begin_with_a_mark_and_have_the_line_ends_of_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / ".env"
    file.write_bytes("\ufeffENCORE_NAMESPACE='shop'\r\nENCORE_WORKERS = 3 \r\nexport OPENAI_API_KEY=sk-1\r\n".encode())
    monkeypatch.setitem(Settings.model_config, "env_file", str(file))
    settings = Settings()
    assert (settings.namespace, settings.workers, shown(settings.openai_api_key)) == ("shop", 3, "sk-1")
