"""Namespaces as screens show them: the one place that turns the id of one into words.

A label comes from a person and may hold any text; everything here shows it literally.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.keys import EVERYWHERE
from core.namespaces import ALL_NAMESPACES, Colour, Naming
from pages.components.display.text import literal, one_line, plain

LONGEST = 200
"""Longer than any name is: one that is cut could look like another."""
MOST_TOLD = 20
"""Namespaces that the help of a control tells of."""

HEXADECIMAL: dict[Colour, str] = {
    Colour.RED: "#D55E00",
    Colour.ORANGE: "#E69F00",
    Colour.YELLOW: "#F0E442",
    Colour.GREEN: "#009E73",
    Colour.BLUE: "#0072B2",
    Colour.VIOLET: "#CC79A7",
    Colour.GRAY: "#8A929C",
}
"""The colours of namespaces, which charts alone show: those that the theme has by these names, which all eyes can tell
apart. Tables and controls have no room for a colour, so that text has none anywhere."""


def shown(namespace: str, naming: Naming) -> str:
    """The name of a namespace as plain text: for tables, controls and charts."""
    return one_line(naming.shown(namespace), LONGEST)


def named(namespace: str, naming: Naming) -> str:
    """The name as Markdown, for the middle of a sentence."""
    if namespace == EVERYWHERE:
        return ALL_NAMESPACES
    if naming.label(namespace) is None:
        return literal(naming.shown(namespace), LONGEST)
    name = shown(namespace, naming)
    # An e-mail address would become a link, whatever is escaped.
    return literal(name, LONGEST) if "@" in name else plain(name)


def said(namespace: str, naming: Naming) -> str:
    """The name as Markdown for the label of a button, in the button's own letters."""
    return ALL_NAMESPACES if namespace == EVERYWHERE else plain(shown(namespace, naming))


def told(namespace: str, naming: Naming) -> str:
    """What a name does not say, as Markdown for the help beside it: the whole id, and who owns it."""
    if namespace == EVERYWHERE:
        return "All that existed when it was applied. Namespaces made later are not affected."
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
