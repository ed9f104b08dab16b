"""What makes two functions the same: a name that is equal only where the answers may be.

A function is its code, its default values and what it was made with: values that it closes over, its own attributes,
the arguments of a `functools.partial`, the attributes of the object whose method it is, and of that one's class. Plain
values count as they are, so that equal functions share answers over processes. Where one is an object, the function is
itself alone, as long as it lives; so is a class that is not found under its name, and an object of which something may
be known elsewhere. What it reads from globals counts where it is plain (`core.keys.surroundings`); what it changes in
objects that it holds is not seen.
"""

from __future__ import annotations

import dis
import functools
import secrets
import sys
import threading
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import msgspec

from .surroundings import hands_on_itself, is_of_a_module, read_around

MOST_VALUES: Final = 1000
DEEPEST: Final = 10
"""How many values a function may be made with, and how deep they may lie, before it counts as one without a name."""

_PLAIN = (str, bytes, int, float, bool, type(None))
_CHANGING = frozenset(
    {"append", "extend", "insert", "pop", "popitem", "remove", "discard", "clear", "add", "update", "setdefault"}
    | {"sort", "reverse"}
)
_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)


class Unnameable(Exception):
    """Raised for a function made with something that has no stable form. `what` is the class of that thing."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def function_name(function: Callable[..., Any]) -> str:
    """A name for a function: readable, and with a digest of all that it was made with.

    Raises Unnameable when that has no stable form.
    """
    try:
        digest = sha256(_encode(_Forms().of(function))).hexdigest()[:32]
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise Unnameable(type(function).__name__) from error
    return f"{readable_name(function)} {digest}"


def readable_name(function: Callable[..., Any]) -> str:
    """Module and name of a function, of the class for an object that can be called."""
    inner = function.func if isinstance(function, functools.partial) else function
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{getattr(named, '__module__', '')}.{named.__qualname__}"


class _Forms:
    """Stable forms of the parts of one function. Raises Unnameable."""

    def __init__(self, *, of_data: bool = False) -> None:
        self._values = 0
        self._kind: type | None = None  # of the object whose method is named
        self._of_data = of_data  # only of plain values and of lists, sets and mappings of those

    def of(self, value: Any, depth: int = 0) -> Any:
        self._values += 1
        if self._values > MOST_VALUES or depth > DEEPEST:
            raise Unnameable(type(value).__name__)
        if type(value) in _PLAIN:
            return [type(value).__name__, value if isinstance(value, bytes) else repr(value)]
        if type(value) in (list, tuple):
            return [type(value).__name__, [self.of(item, depth + 1) for item in value]]
        if type(value) in (set, frozenset):
            return ["set", sorted((self.of(item, depth + 1) for item in value), key=_encode)]
        if type(value) is dict:
            return ["dict", [[self.of(name, depth + 1), self.of(item, depth + 1)] for name, item in value.items()]]
        if self._of_data:
            raise Unnameable(type(value).__name__)
        if isinstance(value, functools.partial):
            arguments = [value.args, dict(sorted(value.keywords.items()))]
            return ["partial", *(self.of(part, depth + 1) for part in (value.func, *arguments))]
        if isinstance(value, types.MethodType):
            method = value.__func__ if isinstance(value.__func__, types.FunctionType) else None
            self._kind = value.__self__ if isinstance(value.__self__, type) else type(value.__self__)
            return ["method", self.of(value.__func__, depth + 1), self._instance(value.__self__, method, depth)]
        if isinstance(value, types.FunctionType):
            return ["function", self._code(value, depth)]
        if isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
            return self._named(value)
        called = type(value).__call__ if callable(value) else None
        if not isinstance(called, types.FunctionType):
            return ["object", self._instance(value, None, depth)]
        self._kind = type(value)
        return ["object", self._instance(value, called, depth), self._around(called)]

    def _named(self, value: Any) -> Any:
        """What is found under its name: a class, a module, a function written in C."""
        if not isinstance(getattr(value, "__self__", None), types.ModuleType | types.NoneType):
            raise Unnameable(type(value.__self__).__name__)
        name = getattr(value, "__qualname__", value.__name__)
        if isinstance(value, type):
            return ["class", self._class(value)]
        return ["named", f"{getattr(value, '__module__', '')}.{name}"]

    def _class(self, kind: type, counted: frozenset[str] = frozenset()) -> list[Any]:
        """A class by its name and the plain attributes that it has and inherits, or as itself alone."""
        attributes = {
            name: value
            for base in reversed(kind.__mro__)
            if base.__module__ != "builtins"
            for name, value in vars(base).items()
            if not name.startswith("__")
        }
        plain: list[Any] = [
            [name, self.of(value, 1)]
            for name, value in sorted(attributes.items())
            if name not in counted and _is_plain(value)
        ]
        if not _is_found(kind):
            plain.append(_itself(kind))
        return [f"{kind.__module__}.{kind.__qualname__}", plain]

    def _code(self, function: types.FunctionType, depth: int) -> Any:
        """The code of a function with its defaults and the values that it closes over."""
        cells: dict[str, Any] = {}
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                cells[name] = cell.cell_contents
            except ValueError:  # not set yet
                continue
        return [
            function.__module__,
            function.__qualname__,
            _digest_of(function.__code__),
            self.of(function.__defaults__, depth + 1),
            self.of(function.__kwdefaults__, depth + 1),
            self._held(cells, function, function, depth),
            self._held(vars(function), function, function, depth) if set(vars(function)) - {"__wrapped__"} else [],
            self._around(function),
        ]

    def _around(self, function: types.FunctionType) -> list[Any]:
        """What the function reads from around it; where its globals are no module's, itself alone too."""
        around = list(read_around(function, self._kind))
        codes = [function.__code__, *(value for _, value in around if isinstance(value, types.CodeType))]
        changes = bool(around) and any(map(_changes, codes))
        form: list[Any] = [] if is_of_a_module(function) else [["", _itself(function)]]
        for name, value in around:
            if value is ...:
                raise Unnameable(name)
            if isinstance(value, types.CodeType):
                form.append([name, _digest_of(value)])
            elif _is_plain(value) or not changes:
                data = _data_of(value)
                form += [[name, data]] if data else []
        return sorted(form, key=repr)

    def _instance(self, holder: Any, function: types.FunctionType | None, depth: int) -> Any:
        """An object by its class and attributes, or as itself alone."""
        kind = type(holder)
        if isinstance(holder, type):
            return self._named(holder)
        slots = [name for base in kind.__mro__ for name in base.__dict__.get("__slots__", ()) if name != "__dict__"]
        held = {name: getattr(holder, name) for name in slots if hasattr(holder, name)} | getattr(
            holder, "__dict__", {}
        )
        if not held and not hasattr(holder, "__dict__") and not slots:
            raise Unnameable(kind.__name__)  # what it holds cannot be seen
        counted = _counters(function.__code__) if function is not None else frozenset()
        form = [self._class(kind, counted), self._held(held, holder, function, depth)]
        return [*form, _itself(holder)] if _is_known_elsewhere(kind) else form

    def _held(
        self, held: Mapping[str, Any], holder: Any, function: types.FunctionType | None, depth: int
    ) -> list[Any] | str:
        """Values by name: as they are where all are plain, else the identity of what holds them beside the plain ones.

        What the function only counts with is its own bookkeeping.
        """
        counted = _counters(function.__code__) if function is not None else frozenset()
        changes = any(map(_changes, _codes(holder, function)))
        form: list[Any] = []
        is_plain = True
        for name, value in sorted(held.items()):
            if name in counted:
                continue
            if _is_plain(value) or (isinstance(value, _FUNCTIONS) and value is not holder):
                form.append([name, self.of(value, depth + 1)])
            else:
                is_plain = False
                if not changes and type(value) in (list, dict, set) and (data := _data_of(value)):
                    form.append([name, data])
        return form if is_plain else [_itself(holder), *form]


def _is_found(kind: type) -> bool:
    """Whether a class is what its module has under its name: then another process has it too."""
    found: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        found = getattr(found, "__dict__", {}).get(name)
    return found is kind


def _is_known_elsewhere(kind: type) -> bool:
    known = _elsewhere.get(kind)
    if known is None:
        known = _elsewhere[kind] = _looked_elsewhere(kind)
    return known


_elsewhere: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()


def _looked_elsewhere(kind: type) -> bool:
    """Whether more may be known of objects of a class than they hold: in a descriptor, or under their number."""
    for base in kind.__mro__[:-1]:
        for name, value in vars(base).items():
            if type(value) is types.FunctionType:
                is_called = not name.startswith("__") or name in _CALLED
                if is_called and hands_on_itself(value.__code__):
                    return True
            elif hasattr(type(value), "__get__") and type(value).__flags__ & _MADE_IN_PYTHON:
                return True
    return False


_CALLED = frozenset({"__init__", "__new__", "__post_init__", "__call__", "__getattr__", "__getattribute__"})
_MADE_IN_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE


def _data_of(value: Any) -> bytes | None:
    """The digest of what a list, set or mapping holds, where that is plain data and not too much."""
    try:
        return sha256(_encode(_Forms(of_data=True).of(value))).digest()
    except (Unnameable, TypeError, ValueError, OverflowError, RecursionError, RuntimeError):
        return None


def _codes(holder: Any, function: types.FunctionType | None) -> Iterator[types.CodeType]:
    """The code of a function, and of the functions of its object's class, which it may call."""
    if function is not None:
        yield function.__code__
    if not isinstance(holder, types.FunctionType):
        for base in type(holder).__mro__:
            yield from (value.__code__ for value in vars(base).values() if type(value) is types.FunctionType)


@lru_cache(maxsize=1024)
def _changes(code: types.CodeType) -> bool:
    """Whether code, or code inside it, may change a list, set or mapping."""
    return (
        not _CHANGING.isdisjoint(code.co_names)
        or any(step.opname in ("STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE") for step in dis.get_instructions(code))
        or any(_changes(constant) for constant in code.co_consts if isinstance(constant, types.CodeType))
    )


def _is_plain(value: Any) -> bool:
    """Whether a value is what it is for ever: text, number, or a tuple of those."""
    return type(value) in _PLAIN or (type(value) is tuple and all(map(_is_plain, value)))


_known: dict[int, tuple[weakref.ref[Any], str]] = {}
_known_lock = threading.RLock()  # the garbage collector may end an object on a thread that is in here


def _itself(holder: Any) -> str:
    """A name that an object has alone, as long as it lives, in this process."""
    number = id(holder)
    with _known_lock:
        known = _known.get(number)
        if known is None or known[0]() is not holder:  # equal objects are not the same
            try:
                reference = weakref.ref(holder, lambda gone: _forget(number, gone))
            except TypeError:
                raise Unnameable(type(holder).__name__) from None
            known = _known[number] = reference, secrets.token_hex(16)
    return known[1]


def _forget(number: int, gone: weakref.ref[Any]) -> None:
    with _known_lock:
        if (known := _known.get(number)) is not None and known[0] is gone:
            del _known[number]


@lru_cache(maxsize=1024)
def _digest_of(code: types.CodeType) -> str:
    """A digest of what code does: functions without a name of their own differ in it, and so do two versions of one."""
    return sha256(repr(list(_meaning(code))).encode("utf-8", "surrogatepass")).hexdigest()


def _meaning(code: types.CodeType) -> Iterator[Any]:
    yield code.co_code
    yield code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield list(_meaning(constant))
        elif isinstance(constant, frozenset):
            yield sorted(map(repr, constant))
        else:
            yield repr(constant)


@lru_cache(maxsize=1024)
def _counters(code: types.CodeType) -> frozenset[str]:
    """Names that a function does nothing with but add to: `self.calls += 1`, `calls += 1`."""
    loads: dict[str, int] = {}
    counts: dict[str, int] = {}
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("COPY", "SWAP", "CACHE", "RESUME")]
    for index, step in enumerate(steps):
        if step.opname in ("LOAD_ATTR", "LOAD_DEREF", "LOAD_METHOD"):
            loads[step.argval] = loads.get(step.argval, 0) + 1
            following = [later.opname for later in steps[index + 1 : index + 4]]
            if following in (["LOAD_CONST", "BINARY_OP", store] for store in ("STORE_ATTR", "STORE_DEREF")) or (
                following in (["LOAD_SMALL_INT", "BINARY_OP", store] for store in ("STORE_ATTR", "STORE_DEREF"))
            ):
                counts[step.argval] = counts.get(step.argval, 0) + (steps[index + 3].argval == step.argval)
    return frozenset(name for name, count in counts.items() if count == loads[name])


_encode = msgspec.msgpack.Encoder().encode
