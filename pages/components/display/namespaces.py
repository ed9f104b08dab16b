"""Namespaces as screens show them: the one place that turns the id of one into words.

A label comes from a person and may hold any text; everything here shows it literally.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.namespaces import Colour, Naming
from pages.components.display.text import literal, one_line

LONGEST = 200
"""Longer than any name is: one that is cut could look like another."""
MOST_TOLD = 20
"""Namespaces that the help of a control tells of."""

HEXADECIMAL: dict[Colour, str] = {
    Colour.RED: "#E5484D",
    Colour.ORANGE: "#F76B15",
    Colour.YELLOW: "#CF9A0A",
    Colour.GREEN: "#30A46C",
    Colour.BLUE: "#3B82F6",
    Colour.VIOLET: "#8E4EC6",
    Colour.GRAY: "#8A929C",
}
"""The colours in charts; in Markdown Streamlit's own of the same names."""


def shown(namespace: str, naming: Naming) -> str:
    """The name of a namespace as plain text: for tables, controls and charts."""
    return one_line(naming.shown(namespace), LONGEST)


def named(namespace: str, naming: Naming) -> str:
    """The name as Markdown, for the middle of a sentence, with a dot of its colour before it."""
    given = naming.label(namespace)
    dot = f":{given.colour.value}[●] " if given is not None and given.colour is not None else ""
    return dot + literal(naming.shown(namespace), LONGEST)


def told(namespace: str, naming: Naming) -> str:
    """What a name does not say, as Markdown for the help beside it: the whole id, and who owns it."""
    given = naming.label(namespace)
    owner = f" Owner: {literal(given.owner, LONGEST)}." if given is not None and given.owner else ""
    return f"Namespace {literal(namespace, LONGEST)}.{owner}"


def told_of(namespaces: Iterable[str], naming: Naming) -> str | None:
    """The same of several, for the help of a control that offers them; None where their names say all."""
    lines = [
        f"- {literal(naming.shown(one), LONGEST)}: {told(one, naming)[:1].lower()}{told(one, naming)[1:]}"
        for one in namespaces
        if naming.shown(one) != one or naming.label(one) is not None
    ]
    return "\n".join(lines[:MOST_TOLD]) or None


def choosing(naming: Naming) -> Callable[[str], str]:
    """The `format_func` of a control that offers namespaces."""
    return lambda namespace: shown(namespace, naming)


def hexadecimal(namespace: str, naming: Naming) -> str | None:
    """The colour of a namespace in charts; None where it has none."""
    given = naming.label(namespace)
    return HEXADECIMAL[given.colour] if given is not None and given.colour is not None else None
