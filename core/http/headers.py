"""What of a request's headers goes on to the provider, and what of that is in the key of the answer. Pure.

The table is `core/wire/openai.toml`. On paths that are cached the gateway sends nothing that is not in the key, but for
what the table says may change no answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from ..wire import Treatment, header_treatment, is_keyed

DROPPED_HEADERS: Final = "x-encore-dropped-headers"
MOST_TOLD: Final = 20
ANY_LANGUAGE: Final = ("accept-language", "*")
JSON_FORM: Final = (("content-type", "application/json"), ("accept", "application/json"))


class Divided(msgspec.Struct, frozen=True, gc=False):
    """The headers of a request to a path that is cached.

    `sent` to the provider, `keyed` of these, and the names `dropped` because nothing is known of them.
    """

    sent: list[tuple[str, str]]
    keyed: dict[str, str]
    dropped: tuple[str, ...]

    @property
    def told(self) -> list[tuple[str, str]]:
        """What the answer says of headers that were not sent."""
        return [(DROPPED_HEADERS, ", ".join(self.dropped[:MOST_TOLD]))] if self.dropped else []


def divided(headers: Mapping[str, str], also_keyed: Collection[str] = ()) -> Divided:
    """Divides the headers of a caller of the gateway, whose names are in lower case. `also_keyed` is what the operator
    has sent and keyed too."""
    keyed: dict[str, str] = {}
    unkeyed: list[tuple[str, str]] = []
    dropped: list[str] = []
    for name, value in headers.items():
        treatment = Treatment.KEYED if name in also_keyed else header_treatment(name)
        if treatment is Treatment.KEYED:
            if (name, value) != ANY_LANGUAGE:
                keyed[name] = value
        elif treatment is Treatment.UNKEYED:
            unkeyed.append((name, value))
        elif treatment is Treatment.UNKNOWN:
            dropped.append(name)
    return Divided([*keyed.items(), *unkeyed, *JSON_FORM], keyed, tuple(dropped))


def keyed_of(headers: Mapping[str, str]) -> dict[str, str]:
    """What is in the key of the headers that the Python transport sends, whose names are in lower case.

    All but what the table excepts, and credentials, which are the program's own.
    """
    return {name: value for name, value in headers.items() if is_keyed(name, value, credentials=False)}
