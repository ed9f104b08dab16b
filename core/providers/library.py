"""The HTTP library of the SDK in this process: httpx2 for `openai` 3, httpx for `openai` 2, which some frameworks pin.

Both have the same names. An object of the one is refused by the other, so what is handed to the SDK is made by its own.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Final

_LIBRARIES: Final = ("httpx2", "httpx")


def http_library(thing: type) -> Any:
    """The library that a class is of or derives from: the module `httpx2` or `httpx`.

    Raises TypeError for a class of neither.
    """
    for base in thing.__mro__:
        library: ModuleType | None = sys.modules.get(base.__module__.partition(".")[0])
        if library is not None and library.__name__ in _LIBRARIES:
            return library
    raise TypeError(f"{thing.__qualname__} is of neither {' nor '.join(_LIBRARIES)}")
