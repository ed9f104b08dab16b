"""The rooms of the house and what may import what: tables, and tests that read the source itself.

`docs/architecture.md` says in one line each what a room is for.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
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


TOWERS = {
    "core": """
        errors lazy text concurrency
        wire
        models
        keys policy providers
        bans inbound
        stores
        access metrics
        invalidation namespaces semantic
        cache monitoring settings
        configuration entries demo evaluation function launcher
        bootstrap
        doctor
        operations
        http cli
        __main__
    """,
    "core.stores": """
        aside clock refusal
        base codec
        leases lookup local memory_records
        memory_aside
        memory
        redis
    """,
    "core.semantic": """
        results config
        embedding guards
        conversations
        judge
        index quality
        decision fetch questions
        search objections
        lookup rebuilding
        deferred assembly
        near_index
    """,
    "pages.components": """
        display server
        data
        shell
        dashboard entries health invalidations playground quality questions savings schedules
    """,
}
"""Rooms from the lowest layer up, a layer a line. A room imports from lower layers only, never from its own.

`models` stands on `wire`: what an answer says depends on its wire form. `launcher` starts processes by their command
lines, so it may stand low; `settings` knows no part that it configures, and only entry points, `configuration` and
`bootstrap` read it.
"""

SETTINGS_READERS = (
    *("core.configuration", "core.bootstrap", "core.doctor", "core.operations", "core.http", "core.cli"),
    *("core.launcher", "workers", "pages"),
)

MOST_FILES, MOST_LINES, MOST_CLASS_LINES, MOST_FACE_LINES = 20, 450, 300, 40


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


@cache
def modules() -> dict[str, Path]:
    """Every module by its dotted name; a package is named by its face."""
    names = {}
    for path in SOURCES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


@cache
def imported_modules(path: Path) -> dict[str, set[str]]:
    """The modules of ours that a file imports, each with the names it takes from it; none: the module itself."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found: dict[str, set[str]] = {}
    for node in nodes(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.setdefault(alias.name, set())
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, node.module or "")).strip(".")
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                # From outside a name that the face lists is the face's, a module or not.
                if whole in modules() and (within(".".join(package), module) or alias.name not in listed(module)):
                    found.setdefault(whole, set())
                else:
                    found.setdefault(module, set()).add(alias.name)
    return {name: names for name, names in found.items() if name in modules()}


@cache
def listed(module: str) -> list[str]:
    """The names in a module's `__all__`."""
    for node in ast.iter_child_nodes(ast.parse(modules()[module].read_text())) if module in modules() else ():
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
    return []


def faces() -> list[str]:
    """The packages that have a face, but `core` itself, whose names are for people outside."""
    return [name for name, path in modules().items() if path.name == "__init__.py" and "." in name]


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def layers(tower: str) -> dict[str, int]:
    return {room: number for number, layer in enumerate(TOWERS[tower].strip().splitlines()) for room in layer.split()}


def room_of(module: str, tower: str) -> str:
    return module.removeprefix(tower + ".").partition(".")[0]


@pytest.mark.parametrize("tower", TOWERS)
def test_imports_go_down_only(tower):
    layer = layers(tower)
    inside = {module: path for module, path in modules().items() if module.startswith(tower + ".")}
    assert {room_of(module, tower) for module in inside} == set(layer), "the table lists the rooms of the tree"
    up = [
        f"{module} imports {target}"
        for module, path in inside.items()
        for target in imported_modules(path)
        if within(target, tower)
        and (here := room_of(module, tower)) != (there := room_of(target, tower))
        and (target == tower or layer[there] >= layer[here])
    ]
    assert up == []


def test_no_modules_import_each_other_in_a_circle():
    """In core: whatever order a walk takes, an imported module is complete. Imports for the type checker count too."""
    graph = {
        module: {target for target in imported_modules(path) if modules()[target].name != "__init__.py"}
        for module, path in modules().items()
        if module.startswith("core.") and path.name != "__init__.py"
    }
    assert list(circles(graph)) == []


def circles(graph: dict[str, set[str]]) -> Iterator[str]:
    """The groups of nodes that can each be reached from all others of the group."""
    reached = {node: reachable(graph, node) for node in graph}
    groups = {frozenset(other for other in reached[node] if node in reached.get(other, ())) for node in graph}
    yield from (" ".join(sorted(group)) for group in groups if group)


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    ahead = [*graph[start]]
    while ahead:
        node = ahead.pop()
        if node not in seen:
            seen.add(node)
            ahead += graph.get(node, ())
    return seen


def test_outside_a_package_only_its_face_is_imported():
    """A package inside a package (`core.stores.redis`) has a face of its own; a listed module counts as a name."""
    wrong = []
    for module, path in modules().items():
        for target, names in imported_modules(path).items():
            strange = [face for face in faces() if within(target, face) and not within(module, face)]
            if not strange:
                continue
            nearest = max(strange, key=len)
            if target != nearest or not names <= set(listed(nearest)):
                wrong.append(f"{module} imports {sorted(names)} from {target}")
    assert wrong == []


def test_a_name_that_begins_with_an_underscore_stays_in_its_module():
    wrong = [
        f"{name_of(path)} imports {alias.name}"
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] in OURS)
        for alias in node.names
        if alias.name.startswith("_")
    ]
    assert wrong == []


def test_imports_inside_core_are_relative():
    wrong = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        if path.is_relative_to(ROOT / "core")
        for node in nodes(path)
        if (isinstance(node, ast.ImportFrom) and not node.level and within(node.module or "", "core"))
        or (isinstance(node, ast.Import) and any(within(alias.name, "core") for alias in node.names))
    ]
    assert wrong == [], "so that the folder can be installed under another name"


@pytest.mark.parametrize("face", faces())
def test_a_face_is_short_and_sorted(face):
    path = modules()[face]
    assert len(path.read_text().splitlines()) < MOST_FACE_LINES
    names = listed(face)
    # Constants first, then classes, then functions, as ruff sorts.
    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert names
    assert len(ast.get_docstring(ast.parse(path.read_text())) or "") > 20


def test_a_face_loads_nothing_heavy():
    script = (
        "import importlib, sys\n"
        "for face in sys.argv[1:]:\n"
        "    importlib.import_module(face)\n"
        "    if heavy := {'numpy', 'openai'} & set(sys.modules): sys.exit(f'{face} loads {heavy}')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, "core", *faces()], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_a_folder_has_few_files():
    folders = {path.parent for path in SOURCES}
    counts = {name_of(folder): sum(1 for path in folder.iterdir() if path.is_file()) for folder in folders - {ROOT}}
    assert {name: count for name, count in counts.items() if count > MOST_FILES} == {}


def test_modules_and_classes_are_short():
    lines = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}
    classes = {
        f"{name_of(path)}: {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.ClassDef)
    }
    assert {name: count for name, count in classes.items() if count > MOST_CLASS_LINES} == {}


def test_settings_are_read_where_things_are_built_or_begin():
    readers = {
        module
        for module, path in modules().items()
        if "Settings" in imported_modules(path).get("core.settings", set()) | imported_modules(path).get("core", set())
    }
    assert {name for name in readers if not any(within(name, allowed) for allowed in SETTINGS_READERS)} <= {"core"}


@pytest.mark.parametrize(("words", "most"), [("AuditRecord(", 2), ("readings().get(", 1)])
def test_what_is_written_in_few_places_stays_there(words, most):
    """An audit record is built in two places, the console's readings are read in one: all others ask these."""
    places = [
        f"{name_of(path)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if words in line and not line.startswith("class ")
    ]
    assert len(places) <= most, places


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
    # What a caller's function reads of it is part of what that function is.
    assert readers <= {"core/launcher.py", "core/settings/settings.py", "core/keys/surroundings.py"}


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


STYLES = "pages/components/display/styles.py"
"""What the theme has no options for takes style sheets, which are constants."""


def test_nothing_runs_or_shows_as_html_what_somebody_else_wrote():
    assert {name_of(path): found for path in SOURCES if (found := dangers(path))} == {STYLES: ["st.html", "st.html"]}
    calls = [
        node
        for node in nodes(ROOT / STYLES)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "html"
    ]
    constants = {
        ast.unparse(node.targets[0])
        for node in nodes(ROOT / STYLES)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    assert {ast.unparse(argument) for call in calls for argument in call.args} <= constants


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
