"""The folders of the console: which may import which, and that nothing private crosses a module's border."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "pages"
COMPONENTS = PAGES / "components"

FLOORS = (
    ("display", "server"),
    ("data",),
    ("shell",),
    ("dashboard", "entries", "invalidations", "playground", "quality", "schedules"),
)
"""From the bottom to the top: a folder imports from folders on lower floors, and nothing from its own floor."""

FLOOR_OF = {folder: floor for floor, folders in enumerate(FLOORS) for folder in folders}
SOURCES = sorted(COMPONENTS.rglob("*.py"))


def imported(path: Path) -> list[tuple[str, str]]:
    """Pairs of module and name that a file imports from the console's own modules, wherever in the file it does."""
    return [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pages")
        for alias in node.names
    ]


def folders_of(module: str, name: str) -> set[str]:
    parts = [*module.split("."), name]
    return {parts[2]} if parts[:2] == ["pages", "components"] else set()


def test_every_folder_has_a_floor():
    assert {path.parent.name for path in SOURCES} == set(FLOOR_OF)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(COMPONENTS)))
def test_imports_run_down_and_no_feature_imports_another(path):
    own = path.parent.name
    for module, name in imported(path):
        assert module.startswith("pages.components."), f"{module} is a page"
        for folder in folders_of(module, name) - {own}:
            assert FLOOR_OF[folder] < FLOOR_OF[own], f"{own} imports {module}"


@pytest.mark.parametrize("path", [*SOURCES, *sorted(PAGES.glob("*.py"))], ids=lambda path: str(path.relative_to(PAGES)))
def test_a_name_that_begins_with_an_underscore_stays_in_its_module(path):
    assert [name for _, name in imported(path) if name.startswith("_")] == []


def test_imports_between_modules_form_no_circle():
    graph = {
        f"pages.components.{path.relative_to(COMPONENTS).with_suffix('').as_posix().replace('/', '.')}": path
        for path in SOURCES
    }
    below = {
        module: {
            target
            for source, name in imported(path)
            for target in (source, f"{source}.{name}")
            if target in graph and target != module
        }
        for module, path in graph.items()
    }
    while free := {module for module, targets in below.items() if not targets}:
        below = {module: targets - free for module, targets in below.items() if module not in free}
    assert below == {}
