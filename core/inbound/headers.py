"""What of a request's headers goes on to the provider, and what of that is in the key of the answer. Pure.

The table is `core/wire/openai.toml`. On paths that are cached the gateway sends nothing that is not in the key, but for
what the table says may change no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from ..wire import Treatment, header_treatment, is_keyed

DROPPED_HEADERS: Final = "x-encore-dropped-headers"
DIFFERING_HEADERS: Final = "x-encore-differing-headers"
MOST_TOLD: Final = 20
ANY_LANGUAGE: Final = ("accept-language", "*")
JSON_FORM: Final = (("content-type", "application/json"), ("accept", "application/json"))


class Divided(msgspec.Struct, frozen=True, gc=False):
    """The headers of a request to a path that is cached: those in the key, those sent beside them, and the names of
    those that are dropped because nothing is known of them.
    """

    keyed: dict[str, str]
    unkeyed: dict[str, str]
    dropped: tuple[str, ...]

    @property
    def sent(self) -> list[tuple[str, str]]:
        """What the provider is sent."""
        return [*self.keyed.items(), *self.unkeyed.items(), *JSON_FORM]

    def told(self, differing: Sequence[str]) -> list[tuple[str, str]]:
        """What the answer says of headers that were not sent, and of those in the key that differ at every request."""
        named = ((DROPPED_HEADERS, self.dropped), (DIFFERING_HEADERS, differing))
        return [(header, ", ".join(names[:MOST_TOLD])) for header, names in named if names]


def divided(headers: Mapping[str, str], also_keyed: tuple[str, ...] = ()) -> Divided:
    """Divides the headers of a caller of the gateway, whose names are in lower case. `also_keyed` is what the operator
    has sent and keyed too."""
    keyed, unkeyed, dropped = _names_of(tuple(headers), also_keyed)
    found = {name: headers[name] for name in keyed}
    if found.get(ANY_LANGUAGE[0]) == ANY_LANGUAGE[1]:
        del found[ANY_LANGUAGE[0]]
    return Divided(found, {name: headers[name] for name in unkeyed}, dropped)


@lru_cache(maxsize=128)  # clients send the same names again and again
def _names_of(names: tuple[str, ...], also_keyed: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The names of headers that are keyed, that are sent unkeyed, and that are dropped."""
    treatments = {name: Treatment.KEYED if name in also_keyed else header_treatment(name) for name in names}
    return tuple(
        tuple(name for name in names if treatments[name] is wanted)
        for wanted in (Treatment.KEYED, Treatment.UNKEYED, Treatment.UNKNOWN)
    )


def keyed_of(headers: Mapping[str, str]) -> dict[str, str]:
    """What is in the key of the headers that the Python transport sends, whose names are in lower case.

    All but what the table excepts, and credentials, which are the program's own.
    """
    return {name: value for name, value in headers.items() if is_keyed(name, value, credentials=False)}
