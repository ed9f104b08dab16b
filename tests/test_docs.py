"""The README and the pages of docs/ tell the truth about names, settings, files and functions."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import core
from core import Settings
from core.monitoring.alerts import ALERT_NAMES
from core.settings.settings import variable
from core.stores.redis.rights import acl_line
from docs import identity as identity_page
from docs import settings as settings_page
from tests.test_architecture import TOWERS, faces, modules

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ELSEWHERE = {"ENCORE_SOAK_MINUTES", "ENCORE_TEST_REDIS8", "ENCORE_TEST_VALKEY"}
"""Variables of tests and checks, which are no settings."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def test_the_page_of_settings_is_as_the_settings_are():
    assert settings_page.PAGE.read_text() == settings_page.page(), "write it: python -m docs.settings"


def test_the_page_of_the_identity_is_as_the_table_is():
    assert identity_page.PAGE.read_text() == identity_page.page(), "write it: python -m docs.identity"


def test_the_user_of_redis_is_documented_as_the_code_has_it():
    assert acl_line("encore", "secret") in (ROOT / "docs" / "production.md").read_text().splitlines()


def test_the_alerts_are_documented():
    page = (ROOT / "docs" / "production.md").read_text()
    assert [name for name in ALERT_NAMES if f"`{name}`" not in page] == []


def test_every_section_of_the_settings_begins_with_a_setting():
    assert list(settings_page.SECTIONS) == [name for name in Settings.model_fields if name in settings_page.SECTIONS]


def test_the_readme_gives_defaults_as_they_are():
    rows = re.findall(r"^\| `((?:ENCORE|OPENAI)_\w+)` \| (.*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    defaults = {variable(name): settings_page.default(field) for name, field in Settings.model_fields.items()}
    assert rows
    assert [(name, shown.strip()) for name, shown in rows] == [(name, defaults[name]) for name, _ in rows]


@pages
def test_no_setting_is_documented_that_does_not_exist(page):
    known = {variable(name) for name in Settings.model_fields}
    assert set(re.findall(r"\b(?:ENCORE|OPENAI)_[A-Z0-9_]+[A-Z0-9]\b", page.read_text())) <= known | ELSEWHERE


def test_public_names_are_sorted_and_exist():
    assert core.__all__ == sorted(core.__all__)
    for name in core.__all__:
        assert getattr(core, name) is not None


@pages
def test_what_a_page_imports_exists(page):
    for module, names in re.findall(r"^from (core[\w.]*) import (.+)$", page.read_text(), re.MULTILINE):
        imported = __import__(module, fromlist=["_"])
        for name in names.split(", "):
            assert hasattr(imported, name), f"{module}.{name}"


@pages
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pages
def test_the_files_it_names_exist(page):
    for name in re.findall(
        r"`((?:core|workers|pages|tests|docs|benchmarks|\.ci|\.streamlit)/[\w./-]*)`", page.read_text()
    ):
        assert (ROOT / name).exists() or name == ".streamlit/secrets.toml", name


def defined(path: Path) -> set[str]:
    """`function`, `Class` and `Class.method` of a module."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return names


def test_the_paths_of_the_architecture_name_functions_that_exist():
    """A step of a path is written `file.py`: `function`."""
    steps = re.findall(r"`([\w/]+\.py)`: `([\w.]+)`", (ROOT / "docs/architecture.md").read_text())
    assert len(steps) > 5
    assert [(path, name) for path, name in steps if name not in defined(ROOT / path)] == []


def test_the_architecture_has_a_line_for_every_room():
    text = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"^\| `([\w./]+?)/?` \|", text, re.MULTILINE))
    rooms = {room for room in TOWERS["core"].split() if room != "__main__"}
    assert {f"core/{room}" if f"core.{room}" in faces() else f"core/{room}.py" for room in rooms} <= named
    assert {name for name in named if not (ROOT / name).exists()} == set()
    assert "workers" in named
    assert "pages" in named
    assert modules()


def test_every_decision_is_listed_and_has_its_four_parts():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    for page in sorted(folder.glob("*.md")):
        if page.name != "README.md":
            assert f"({page.name})" in index
            titles = re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE)
            assert titles == ["Context", "Decision", "What was measured", "Consequences"], page.name


def test_continuous_integration_calls_nothing_outside_the_repository():
    scripts = [path for path in (ROOT / ".ci").iterdir() if path.is_file()]
    assert scripts
    for path in scripts:
        text = path.read_text().replace('cd "$(dirname "$0")/.."', "")
        assert "../" not in text
        assert [name for name in re.findall(r"\.ci/[\w.-]+", text) if not (ROOT / name).exists()] == []
