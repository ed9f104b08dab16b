"""Settings: read once, checked at start, never shown with their secrets."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import InvalidSettings
from core.models import CacheStrategy, SemanticMode
from core.namespaces import MOST_LABELS, Colour, NamespaceLabel
from core.settings import Settings


def problems(**values: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidSettings) as error:
        Settings(**values)
    return error.value.problems


def test_nothing_need_be_set() -> None:
    settings = Settings()
    assert settings.namespace == "default"
    assert settings.strategy is CacheStrategy.NORMALIZED
    assert settings.semantic is SemanticMode.OFF
    assert settings.redis_url is None
    assert (settings.console_port, settings.gateway_port) == (8501, 8090)
    assert settings.home == Path(".encore")
    assert settings.uses_demo_model


def test_variables_and_the_env_file_are_read_and_variables_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_text("ENCORE_NAMESPACE=file\nENCORE_WORKERS=5\nOPENAI_API_KEY=sk-file\nSOMEONE_ELSES=1\n")
    monkeypatch.setitem(Settings.model_config, "env_file", str(file))
    monkeypatch.setenv("ENCORE_NAMESPACE", "variable")
    monkeypatch.setenv("ENCORE_STRATEGY", "exact")
    settings = Settings()
    assert (settings.namespace, settings.workers, settings.strategy) == ("variable", 5, CacheStrategy.EXACT)
    assert settings.openai_api_key is not None
    assert not settings.uses_demo_model


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ENCORE_REDIS_URL", "ENCORE_TTL_SECONDS", "ENCORE_TTL_RULES"):
        monkeypatch.setenv(name, "")
    settings = Settings()
    assert settings.uses_demo_model
    assert (settings.redis_url, settings.ttl_seconds, settings.ttl_rules) == (None, None, ())


def test_all_problems_are_reported_at_once_by_the_names_of_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ENCORE_CONSOLE_PORT": "0",
        "ENCORE_NAMESPACE": "a:b",
        "ENCORE_STRATEGY": "fuzzy",
        "ENCORE_REDIS_URL": "http://localhost",
        "ENCORE_TTL_SECONDS": "-1",
        "ENCORE_TTL_CLASSES": '{"code": "long", "Mine": 5}',
        "ENCORE_TTL_RULES": '[{"name": "a", "ttl_class": "code", "words": ["two words"]}, 5]',
        "OPENAI_BASE_URL": "api.example.com/v1",
    }.items():
        monkeypatch.setenv(name, value)
    found = problems()
    assert [problem.partition(": ")[0] for problem in found] == [
        "ENCORE_REDIS_URL",
        "ENCORE_CONSOLE_PORT",
        "ENCORE_NAMESPACE",
        "ENCORE_STRATEGY",
        "ENCORE_TTL_SECONDS",
        "ENCORE_TTL_CLASSES.code",
        "ENCORE_TTL_RULES[0].words[0]",
        "ENCORE_TTL_RULES[1]",
        "OPENAI_BASE_URL",
    ]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"ttl_classes": "{"}, "ENCORE_TTL_CLASSES: not JSON"),
        ({"ttl_classes": "[1]"}, "ENCORE_TTL_CLASSES: Input should be a valid dictionary"),
        ({"ttl_classes": '{"code": true}'}, "ENCORE_TTL_CLASSES.code: Input should be a valid number"),
        ({"ttl_classes": {"code": 0.5}}, "ENCORE_TTL_CLASSES: class 'code': give seconds between 1"),
        ({"ttl_classes": {"No Such": 5}}, "ENCORE_TTL_CLASSES: class 'No Such': use 1 to 32"),
        ({"ttl_rules": "[[]]"}, "ENCORE_TTL_RULES[0]: Input should be a valid dictionary"),
        ({"ttl_rules": '[{"name": "a"}]'}, "ENCORE_TTL_RULES[0].ttl_class: Field required"),
        (
            {"ttl_rules": '[{"name": "a", "ttl_class": "nowhere", "words": ["a"]}]'},
            "ENCORE_TTL_RULES: rule 'a': no class 'nowhere'; there are changing_facts, code,",
        ),
        ({"redis_url": "redis://"}, "ENCORE_REDIS_URL: names no host"),
        ({"redis_url": "redis://h:port"}, "ENCORE_REDIS_URL: not a Redis URL"),
        ({"redis_url": "redis://h:0"}, "ENCORE_REDIS_URL: the port must be"),
        ({"redis_url": "redis://h/db"}, "ENCORE_REDIS_URL: the database"),
        ({"queue_redis_url": "h:6379"}, "ENCORE_QUEUE_REDIS_URL: must begin with"),
        ({"gateway_namespace": "a/b"}, "ENCORE_GATEWAY_NAMESPACE: use 1 to 64"),
        ({"gateway_hosts": "a.example, b c"}, "ENCORE_GATEWAY_HOSTS[1]: 'b c' is no name of a host"),
        ({"gateway_origins": "*"}, "ENCORE_GATEWAY_ORIGINS[0]: '*' is no origin"),
        ({"gateway_origins": "chat.example.org"}, "ENCORE_GATEWAY_ORIGINS[0]: 'chat.example.org' is no origin"),
        ({"gateway_origins": "https://a.example/app"}, "ENCORE_GATEWAY_ORIGINS[0]"),
        ({"gateway_root_path": "llm"}, "ENCORE_GATEWAY_ROOT_PATH: give a path that begins with a slash"),
        ({"openai_base_url": "http://"}, "OPENAI_BASE_URL: must begin with http:// or https:// and name a host"),
        ({"ttl_seconds": float("nan")}, "ENCORE_TTL_SECONDS: give seconds"),
        ({"max_temperature": float("nan")}, "ENCORE_MAX_TEMPERATURE: Input should be"),
        ({"semantic_threshold": 1.1}, "ENCORE_SEMANTIC_THRESHOLD: Input should be less than or equal to 1"),
        ({"semantic": "maybe"}, "ENCORE_SEMANTIC: use off, judge or serve"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(values: dict[str, Any], problem: str) -> None:
    (found,) = problems(**values)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:secret@localhost:6379/3",
        "rediss://redis.example.com:6380/0",
        "unix:///run/redis.sock?db=1",
    ],
)
def test_a_redis_url_is_taken_as_it_is(url: str) -> None:
    settings = Settings(redis_url=url, queue_redis_url=url)
    assert settings.redis_url is not None
    assert settings.redis_url.get_secret_value() == url


def test_hosts_origins_and_the_root_path_are_read_as_people_paste_them() -> None:
    settings = Settings(
        gateway_hosts="llm.example.org, https://Other.example:8443/ ,[fd00::1]:80,",
        gateway_origins="https://Chat.example.org/, http://a.example:80,https://b.example:8443,app://obsidian.md",
        gateway_root_path="/a/llm/",
    )
    assert settings.gateway_hosts == ("llm.example.org", "other.example", "fd00::1")
    assert settings.gateway_origins == (
        *("https://chat.example.org", "http://a.example", "https://b.example:8443", "app://obsidian.md"),
    )
    assert settings.gateway_root_path == "/a/llm"


def test_no_secret_is_ever_shown() -> None:
    settings = Settings(
        openai_api_key="sk-SECRET", redis_url="redis://:SECRET@localhost", gateway_keys="SECRET-1, SECRET-2,"
    )
    assert "SECRET" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert [key.get_secret_value() for key in settings.gateway_keys] == ["SECRET-1", "SECRET-2"]
    with pytest.raises(InvalidSettings) as error:
        Settings(openai_api_key=["sk-SECRET"], redis_url="mysql://:SECRET@localhost", console_port="SECRET")
    assert len(error.value.problems) == 3
    assert "SECRET" not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_an_env_file_that_is_no_text_is_a_problem_like_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"ENCORE_NAMESPACE=\xff\xfe\n")
    monkeypatch.setitem(Settings.model_config, "env_file", str(file))
    assert problems() == (".env: is not UTF-8 text",)


@pytest.mark.parametrize(
    ("values", "uses_demo_model"),
    [
        ({}, True),
        ({"openai_api_key": "sk"}, False),
        ({"openai_base_url": "http://localhost:1/v1"}, False),
        ({"openai_api_key": "sk", "provider": "demo"}, True),
        ({"provider": "openai"}, False),
    ],
)
def test_the_demo_model_answers_where_no_provider_is_configured(values: dict[str, Any], uses_demo_model: bool) -> None:
    assert Settings(**values).uses_demo_model == uses_demo_model


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().workers = 3  # type: ignore[misc]


def test_labels_of_namespaces_are_read_from_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCORE_NAMESPACE_LABELS", '{"acme~eu": {"label": "Acme", "owner": "a", "colour": "blue"}}')
    assert Settings().namespace_labels == {"acme~eu": NamespaceLabel(label="Acme", owner="a", colour=Colour.BLUE)}


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ('{"a b": {"label": "x"}}', "ENCORE_NAMESPACE_LABELS.a b"),
        ('{"acme": {"label": ""}}', "ENCORE_NAMESPACE_LABELS.acme.label: is empty"),
        ('{"acme": {"label": "x", "colour": "pink"}}', "ENCORE_NAMESPACE_LABELS.acme.colour: use "),
        ('{"acme": {"owner": "x"}}', "ENCORE_NAMESPACE_LABELS.acme.label"),
        ('{"acme": "x"}', "ENCORE_NAMESPACE_LABELS.acme"),
        ('{"acme": {"label": "x", "color": "red"}}', "ENCORE_NAMESPACE_LABELS.acme.color"),
    ],
)
def test_a_label_that_is_none_is_named(value: str, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCORE_NAMESPACE_LABELS", value)
    [problem] = problems()
    assert problem.startswith(where)


def test_labels_of_namespaces_are_bounded() -> None:
    few = {f"n{number}": {"label": "x"} for number in range(MOST_LABELS)}
    assert len(Settings(namespace_labels=few).namespace_labels) == MOST_LABELS
    [problem] = problems(namespace_labels=few | {"more": {"label": "x"}})
    assert problem.startswith("ENCORE_NAMESPACE_LABELS: give at most 1,000")
