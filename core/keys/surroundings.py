"""What a function reads from around it, when it is called: the values of the globals that its code names.

Texts, numbers and plain collections count as they are, functions of the same package by their code and what they read
in turn, and of modules, classes and other objects the plain attributes that the code names. Objects as such are not
looked into, nor is what other packages do. Keys and passwords count nothing: a new one makes no other function.
"""

from __future__ import annotations

import contextvars
import dis
import os
import re
import sys
import threading
import types
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

MOST_FUNCTIONS: Final = 100
DEEPEST: Final = 3
OPEN_ENDED: Final = frozenset({"eval", "exec", "globals", "locals", "vars", "open"})
"""Builtins by which code reads what its names do not tell."""
_SECRET: Final = re.compile(r"api_?key|secret|password|credential|access_?token", re.IGNORECASE)
_INSTALLED: Final = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_ENVIRONMENT: Final = ("environ", "getenv")
_COUNTED: Final = ("COPY", "SWAP", "CACHE", "RESUME", "PRECALL", "PUSH_NULL")


class Named(NamedTuple):
    """What code, with the code inside it, names: globals, attributes, modules that it imports, texts, and which of the
    names it sets."""

    names: frozenset[str]
    attributes: frozenset[str]
    modules: frozenset[str]
    texts: frozenset[str]
    sets: frozenset[str]


def read_around(function: types.FunctionType, kind: type | None = None) -> Iterator[tuple[str, Any]]:
    """Names and values that a function reads from around it, in no order: plain values, lists, sets and mappings, the
    code of other functions, and `...` for an open end. `kind` is the class of the object that it is a method of.

    What the code itself sets is left out.
    """
    reached = list(_functions_of(function, kind))
    sets = frozenset().union(*(named.sets for _, named in reached))
    for each, named in reached:
        known = each.__globals__
        if each is not function:
            yield f"{each.__module__}.{each.__qualname__}", each.__code__
        for name in named.names - sets:
            if name in known:
                yield from _of_value(name, known[name], named.attributes - sets)
            elif name in OPEN_ENDED:
                yield f"{name}()", ...
        for module in named.modules:
            if (value := sys.modules.get(module)) is not None:
                yield from _of_value(module, value, named.attributes - sets)
        if not (named.attributes.isdisjoint(_ENVIRONMENT) and named.names.isdisjoint(_ENVIRONMENT)):
            for text in named.texts & os.environ.keys():
                yield from _of_value(f"${text}", os.environ[text], frozenset())


def _functions_of(function: types.FunctionType, kind: type | None) -> Iterator[tuple[types.FunctionType, Named]]:
    """A function, those of its package and of its object's class that it names, and so on. Of a package that is
    installed none: what it reads and keeps in its modules is its own affair.
    """
    waiting, seen = [function], {id(function.__code__)}
    while waiting and not _INSTALLED.search(function.__code__.co_filename):
        each = waiting.pop()
        named = named_by(each.__code__)
        yield each, named
        found = [each.__globals__.get(name) for name in sorted(named.names)]
        if kind is not None:
            found += [_attribute(kind, name) for name in sorted(named.attributes)]
        for value in found:
            if (
                isinstance(value, types.FunctionType)
                and _package(value) == _package(each)
                and id(value.__code__) not in seen
                and len(seen) < MOST_FUNCTIONS
            ):
                seen.add(id(value.__code__))
                waiting.append(value)


def is_of_a_module(function: types.FunctionType) -> bool:
    """Whether the globals of a function are those of a module: of others, there may be any number under one name."""
    module = sys.modules.get(str(function.__globals__.get("__name__")))
    return module is not None and vars(module) is function.__globals__


def _package(function: types.FunctionType) -> str:
    return str(function.__globals__.get("__name__")).partition(".")[0]


def _of_value(name: str, value: Any, attributes: frozenset[str], depth: int = 0) -> Iterator[tuple[str, Any]]:
    if _SECRET.search(name) or name.startswith("__") or depth > DEEPEST:
        return
    if isinstance(value, str | bytes | int | float | list | tuple | dict | set | frozenset | None):
        yield name, value
    elif isinstance(value, contextvars.ContextVar):
        yield from _of_value(name, value.get(None), attributes, depth + 1)
    elif isinstance(value, types.GeneratorType):
        yield name, ...
    elif not isinstance(value, types.FunctionType | types.MethodType | types.BuiltinFunctionType | property):
        for attribute in attributes:
            if (found := _attribute(value, attribute)) is not None:
                yield from _of_value(f"{name}.{attribute}", found, attributes, depth + 1)


def _attribute(holder: Any, name: str) -> Any:
    """An attribute as it stands in an object or its classes: nothing is computed for it."""
    if isinstance(holder, threading.local):
        return getattr(holder, name, None)
    places = [getattr(holder, "__dict__", {})]
    places += [vars(kind) for kind in (holder if isinstance(holder, type) else type(holder)).__mro__]
    return next((place[name] for place in places if isinstance(place, Mapping) and name in place), None)


@lru_cache(maxsize=1024)
def named_by(code: types.CodeType) -> Named:
    """What code names."""
    names, attributes, modules, texts, sets = set[str](), set[str](), set[str](), set[str](), set[str]()
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            names.add(step.argval)
        elif step.opname in ("STORE_GLOBAL", "STORE_ATTR"):
            sets.add(step.argval)
        elif "IMPORT_NAME" in step.opname:
            modules.add(step.argval)
        elif "ATTR" in step.opname or step.opname in ("LOAD_METHOD", "IMPORT_FROM"):
            attributes.add(step.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = named_by(constant)
            names |= inner.names
            attributes |= inner.attributes
            modules |= inner.modules
            texts |= inner.texts
            sets |= inner.sets
        elif isinstance(constant, str):
            texts.add(constant)
    if "getattr" in names:
        attributes |= texts
    return Named(*map(frozenset, (names, attributes, modules, texts, sets)))


@lru_cache(maxsize=1024)
def hands_on_itself(code: types.CodeType) -> bool:
    """Whether code does more with its first argument than to name attributes of it: what is known of that object may
    stand elsewhere, under its number or in a mapping.
    """
    if not code.co_argcount:
        return False
    own = code.co_varnames[0]
    steps = [step for step in dis.get_instructions(code) if step.opname not in _COUNTED]
    for step, after in zip(steps, [*steps[1:], None], strict=True):
        loaded = step.argval if isinstance(step.argval, tuple) else (step.argval,)
        if not step.opname.startswith("LOAD_FAST") or own not in loaded:
            continue
        if own in loaded[:-1] or after is None:
            return True
        if not ("ATTR" in after.opname or after.opname in ("LOAD_METHOD", "RETURN_VALUE", "POP_TOP")):
            return True
    return False
