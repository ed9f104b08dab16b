"""The README tells the truth about names and settings."""

from __future__ import annotations

import re
from pathlib import Path

import core
from core.settings import Settings

README = (Path(__file__).parent.parent / "README.md").read_text()


def variable(name: str) -> str:
    return name.upper() if name.startswith("openai_") else f"ENCORE_{name.upper()}"


def test_every_setting_is_documented_with_its_default():
    for name, field in Settings.model_fields.items():
        row = re.search(rf"^\| `{variable(name)}` \| (.*?) \| (.*) \|$", README, re.MULTILINE)
        assert row, f"{variable(name)} is missing from the README"
        default = field.get_default(call_default_factory=True)
        word = getattr(default, "word", None) or getattr(default, "value", default)
        shown = "" if default in (None, (), {}) else f"`{word}`"
        assert row[1].strip() == shown, variable(name)
        assert row[2] == field.description, variable(name)


def test_no_setting_is_documented_that_does_not_exist():
    known = {variable(name) for name in Settings.model_fields}
    assert set(re.findall(r"\b(?:ENCORE|OPENAI)_[A-Z_]+[A-Z]\b", README)) <= known | {"ENCORE_SOAK_MINUTES"}


def test_public_names_are_sorted_and_exist():
    assert core.__all__ == sorted(core.__all__)
    for name in core.__all__:
        assert getattr(core, name) is not None


def test_what_the_readme_imports_exists():
    for module, names in re.findall(r"^from (core[\w.]*) import (.+)$", README, re.MULTILINE):
        imported = __import__(module, fromlist=["_"])
        for name in names.split(", "):
            assert hasattr(imported, name), f"{module}.{name}"


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (Path(__file__).parent.parent / target).exists(), target
