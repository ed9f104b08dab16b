"""bootstrap: what may be replaced, and that whatever can be configured has an effect."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.bootstrap import bootstrap
from core.cache import CacheConfig
from core.settings import Settings
from core.stores import MemoryStore
from tests.fakes import CountingProvider
from tests.samples import NOW, Clock

ROOT = Path(__file__).parents[1]


def test_a_given_part_is_used_in_place_of_the_configured_one() -> None:
    store, provider, clock = MemoryStore(10), CountingProvider(), Clock()
    with bootstrap(Settings(), store=store, provider=provider, clock=clock) as services:
        assert services.store is store
        assert services.provider is provider
        assert services.redis is None
        assert services.switch.turn("default", True, actor="ann").at == NOW


@pytest.mark.parametrize("name", ["providers", "Store", "clocks", "operator_timeout", "refresh", "url"])
def test_a_part_that_does_not_exist_cannot_be_given(name: str) -> None:
    given: dict[str, Any] = {name: None}
    with pytest.raises(TypeError, match=name):
        bootstrap(Settings(), **given)


def reads(folders: tuple[str, ...], owners: set[str]) -> Iterator[str]:
    """Attributes that modules of these folders read of variables and attributes with these names."""
    for folder in folders:
        for path in ROOT.glob(folder):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    owner = node.value
                    name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
                    if name in owners:
                        yield node.attr


def test_every_field_of_a_cache_s_configuration_is_read() -> None:
    read = set(reads(("core/**/*.py",), {"config", "_config"}))
    assert set(msgspec.structs.asdict(CacheConfig())) - read == set()


def test_every_setting_is_read() -> None:
    read = set(reads(("core/**/*.py", "workers/**/*.py", "pages/**/*.py", "app.py"), {"settings", "_settings"}))
    assert "uses_demo_model" in read  # reads `provider`
    assert set(Settings.model_fields) - read == {"provider"}
