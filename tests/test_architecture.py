"""What may import what, and what must not be in the tree at all: read from the source itself."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = ("core", "workers", "pages", "app")
SOURCES = sorted(
    path
    for name in OURS
    for path in ([ROOT / f"{name}.py"] if name == "app" else (ROOT / name).rglob("*.py"))
    if path.exists()
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


@cache
def imported(path: Path) -> set[str]:
    """The modules that a file imports anywhere, in functions and under TYPE_CHECKING too."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, node.module or "")).strip(".")
            found.add(module)
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def imports(path: Path, package: str) -> set[str]:
    return {name for name in imported(path) if name == package or name.startswith(package + ".")}


@pytest.mark.parametrize(
    ("layer", "forbidden"),
    [
        ("core", ("workers", "pages", "app", "rq", "streamlit", "plotly")),
        ("workers", ("pages", "app", "streamlit", "plotly")),
        ("pages", ("app", "rq", "redis")),
    ],
)
def test_imports_run_one_way(layer, forbidden):
    wrong = [
        f"{name_of(path)} imports {name}"
        for path in SOURCES
        if path.is_relative_to(ROOT / layer)
        for package in forbidden
        for name in imports(path, package)
    ]
    assert wrong == []


def test_the_job_library_is_spoken_to_in_one_package():
    speakers = {name_of(path) for path in SOURCES if imports(path, "rq")}
    assert {name.rpartition("/")[0] for name in speakers} == {"workers/queue"}


def test_nothing_reads_the_environment_but_the_settings_and_what_starts_processes():
    readers = {
        name_of(path)
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    assert readers <= {"core/launcher.py"}


FORBIDDEN_MODULES = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve", "yaml")
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {("st", "html"), ("streamlit", "html"), ("yaml", "load"), ("os", "system"), ("os", "popen")}


def dangers(path: Path) -> list[str]:
    """What would run, or show as HTML, what somebody else wrote."""
    found = [f"import {name}" for module in FORBIDDEN_MODULES for name in imports(path, module)]
    for node in nodes(path):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                found.append(name)
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if (owner, name) in FORBIDDEN_ATTRIBUTES:
                found.append(f"{owner}.{name}")
            case ast.keyword(arg="unsafe_allow_html" | "unsafe_allow_javascript" as name):
                found.append(name)
            case ast.keyword(arg="shell", value=ast.Constant(value=True)):
                found.append("shell=True")
    return found


def test_nothing_runs_or_shows_as_html_what_somebody_else_wrote():
    assert {name_of(path): found for path in SOURCES if (found := dangers(path))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "def f():\n    import marshal",
        "eval(x)",
        "exec(x)",
        "st.html(x)",
        "yaml.load(x)",
        "st.markdown(x, unsafe_allow_html=True)",
        "subprocess.run(x, shell=True)",
    ],
)
def test_the_check_sees_what_it_looks_for(tmp_path, monkeypatch, source):
    monkeypatch.setattr("tests.test_architecture.ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(source)
    assert dangers(path)


def test_there_is_something_to_check():
    layers = {name_of(path).partition("/")[0] for path in SOURCES}
    assert {"core", "workers"} <= layers
