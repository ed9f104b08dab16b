"""Faces of packages that load a module when one of its names is asked for the first time (PEP 562).

For packages whose parts are heavy, such as NumPy or an SDK, and often not needed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module


def lazily(package: str, **modules: str) -> Callable[[str], object]:
    """The `__getattr__` of a package. `modules` maps each module to the names it provides, separated by spaces."""
    home = {name: module for module, names in modules.items() for name in names.split()}

    def find(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home[name]}"), name)

    return find
