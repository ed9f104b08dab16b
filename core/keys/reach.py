"""What a function can reach when it is called: the texts of all of it, or that not all of it is seen.

A function that calls into a module, a client or anything else that is not looked at may have a model do anything. So
only one that is seen to its ends is asked plain questions: its code and the code inside it, its constants, defaults,
closure, bound arguments and attributes, the objects it is a method of, what it names of their classes, and the globals
it names.
"""

from __future__ import annotations

import builtins
import dis
import functools
import re
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, NamedTuple

MOST_LOOKED_AT: Final = 300
"""How many values are looked at before a function counts as one that is not seen."""

_WORDS = re.compile(r"[^\W\d_]+")
_NUMBERS = (int, float, complex, bool, types.NoneType, types.EllipsisType, range, slice)
_OUTSIDE = frozenset(
    [
        "__import__",
        "breakpoint",
        "compile",
        "delattr",
        "eval",
        "exec",
        "exit",
        "getattr",
        "globals",
        "help",
        "input",
        "locals",
        "memoryview",
        "open",
        "quit",
        "setattr",
        "vars",
        "copyright",
        "credits",
        "license",
    ]
)
"""Builtins that lead to more than their arguments."""
_OF_CLASSES = frozenset(
    [
        "__module__",
        "__qualname__",
        "__doc__",
        "__dict__",
        "__weakref__",
        "__slots__",
        "__annotations__",
        "__match_args__",
        "__firstlineno__",
        "__static_attributes__",
    ]
)
"""What every class has. Code that reads attributes of such names is not seen."""


class Reach(NamedTuple):
    """The words of the names and the texts of all that a function can reach."""

    names: frozenset[str]
    texts: tuple[str, ...]


class _Unseen(Exception):
    """Raised where something is not seen."""


def reach_of(function: Callable[..., Any]) -> Reach | None:
    """All that a function can reach; None when not all of it is seen."""
    try:
        return _Search().all_of(function)
    except _Unseen:
        return None


class _Search:
    """One walk over a function."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._texts: list[str] = []
        self._waiting: list[Any] = []
        self._read: set[str] = set()  # attributes that some code so far names
        self._unread: dict[str, list[Any]] = {}  # those of classes that none has named yet
        self._seen: dict[int, Any] = {}  # holds what it knows: the number of one that is gone may be another's

    def all_of(self, function: Any) -> Reach:
        self._waiting.append(function)
        while self._waiting:
            value = self._waiting.pop()
            if id(value) in self._seen:
                continue
            if len(self._seen) == MOST_LOOKED_AT:
                raise _Unseen
            self._seen[id(value)] = value
            self._look_at(value)
        return Reach(frozenset(self._names), tuple(self._texts))

    def _look_at(self, value: Any) -> None:
        kind = type(value)
        if kind is str:
            self._texts.append(value)
        elif kind is bytes:
            self._texts.append(value.decode("latin-1"))
        elif kind in (tuple, list, set, frozenset):
            self._waiting += value
        elif kind is dict:
            self._waiting += [*value, *value.values()]
        elif kind is functools.partial:
            self._waiting += [value.func, value.args, value.keywords, value.__dict__]
        elif kind is types.MethodType:
            self._waiting += [value.__func__, value.__self__]
        elif kind is types.FunctionType:
            self._look_at_function(value)
        elif kind in (staticmethod, classmethod):
            self._waiting.append(value.__func__)
        elif kind is property:
            self._waiting += [value.fget, value.fset, value.fdel]
        elif kind is type:
            self._look_at_class(value, None)
        elif kind is types.BuiltinFunctionType:
            if value.__name__ in _OUTSIDE or getattr(builtins, value.__name__, None) is not value:
                raise _Unseen
        elif kind not in _NUMBERS:
            self._look_at_object(value, kind)

    def _look_at_function(self, function: types.FunctionType) -> None:
        self._name(function.__name__)
        self._waiting += [function.__defaults__, function.__kwdefaults__, dict(function.__dict__)]
        for cell in function.__closure__ or ():
            try:
                self._waiting.append(cell.cell_contents)
            except ValueError:  # not set yet
                raise _Unseen from None
        read = _read(function.__code__)
        if read is None:
            raise _Unseen
        self._waiting += read.constants
        for name in read.attributes - self._read:
            self._read.add(name)
            self._waiting += self._unread.pop(name, ())
        for name in read.names:
            if name in function.__globals__:
                self._waiting.append(function.__globals__[name])
            elif name in vars(builtins) and name not in _OUTSIDE:
                self._waiting.append(vars(builtins)[name])
            else:
                raise _Unseen

    def _look_at_object(self, value: Any, kind: type) -> None:
        if type(kind) is not type:
            raise _Unseen
        self._look_at_class(kind, value)
        self._waiting.append(dict(getattr(value, "__dict__", {})))

    def _look_at_class(self, kind: type, holder: Any) -> None:
        """All attributes of a class written in Python; `holder` is the object whose slots are meant, if any."""
        if kind.__module__ == "builtins" and getattr(builtins, kind.__name__, None) is kind and holder is None:
            if kind is type:
                raise _Unseen  # it makes classes of anything
            return
        for base in kind.__mro__[:-1]:
            if not base.__flags__ & _MADE_IN_PYTHON or type(base) is not type:
                raise _Unseen
            self._name(base.__name__)
            for name, attribute in vars(base).items():
                if type(attribute) is types.MemberDescriptorType:
                    if holder is not None and hasattr(holder, name):
                        self._waiting.append(getattr(holder, name))
                elif name not in _OF_CLASSES:
                    is_read = name in self._read or name.startswith("__")  # operators need no name
                    (self._waiting if is_read else self._unread.setdefault(name, [])).append(attribute)

    def _name(self, name: str) -> None:
        if not (name.startswith("__") and name.endswith("__")) and name != "<lambda>":
            self._names.update(word.lower() for word in _WORDS.findall(name))


_MADE_IN_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE


class _Named(NamedTuple):
    """What code, with the code inside it, loads and names."""

    constants: tuple[Any, ...]
    names: frozenset[str]
    attributes: frozenset[str]


@lru_cache(maxsize=1024)
def _read(code: types.CodeType) -> _Named | None:
    """What code loads and names; None where that does not tell what it reaches."""
    constants: list[Any] = []
    names: set[str] = set()
    attributes: set[str] = set()
    for step in dis.get_instructions(code):
        if step.opcode in dis.hasconst:
            if not isinstance(step.argval, types.CodeType):
                constants.append(step.argval)
            elif (inner := _read(step.argval)) is None:
                return None
            else:
                constants += inner.constants
                names |= inner.names
                attributes |= inner.attributes
        elif "IMPORT" in step.opname or step.opname == "MATCH_CLASS":
            return None
        elif "ATTR" in step.opname or step.opname == "LOAD_METHOD":
            if step.argval.startswith("__"):
                return None  # such as __globals__, __class__, __doc__
            attributes.add(step.argval)
        elif "GLOBAL" in step.opname or step.opname in ("LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            names.add(step.argval)
    return _Named(tuple(constants), frozenset(names), frozenset(attributes))
