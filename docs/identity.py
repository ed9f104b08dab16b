"""Writes docs/identity.md from the table of what is in the key: `python -m docs.identity`. A test keeps them equal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from core.wire.fields import OPENAI, Line, Treatment

PAGE = Path(__file__).with_suffix(".md")

HEADERS = {
    Treatment.KEYED: "sent, in the key",
    Treatment.UNKEYED: "sent, not in the key",
    Treatment.CREDENTIAL: "the provider's key, or the caller's",
    Treatment.WITHHELD: "not sent",
    Treatment.OURS: "made anew",
    Treatment.FORM: "JSON, always",
}
BODY = {
    Treatment.UNKEYED: "sent, not in the key",
    Treatment.CALLERS: "sent, not in the key, and not stored: an answer that repeats it repeats the present caller's",
}
QUERY = {Treatment.KEYED: "sent, in the key"}

PREAMBLE = """# What is in the key of an answer

Two requests share an answer only if they are equal in everything that may change it. What is sent to the provider is
in the key, or is not sent; the exceptions are below, each with its reason. This page is written by
`python -m docs.identity` from `core/wire/openai.toml`; a star stands for any ending or beginning, and the first
line that names something decides.

The server's address is in the key, and so is the deployment that Azure's paths name. The Entries page shows what keeps
two requests apart, part by part.

Tags are not in the key. They belong to an entry from when it is stored or refreshed: the tags of a request that is a
hit do not join it. Invalidate by the tags that were given when the answer was made, or ask with `no-cache`, which
stores the answer anew and adds the tags.
"""


def name_of(line: Line) -> str:
    """What a line is about, in words."""
    names = ", ".join(f"`{name}`" for name in line.names)
    parts = ", ".join(f"`{part}`" for part in line.containing)
    only = f" (of {', '.join(line.endpoints)})" if line.endpoints else ""
    return (names or f"any name with {parts} in it") + only


def table(lines: tuple[Line, ...], words: dict[Treatment, str], what: str) -> Iterator[str]:
    """The rows of one part of the table."""
    yield from ("", f"| {what} | what becomes of it | why |", "|---|---|---|")
    for line in lines:
        yield f"| {name_of(line)} | {words[line.treatment]} | {line.reason} |"


def lines() -> Iterator[str]:
    """The lines of the page."""
    yield PREAMBLE.rstrip()
    yield from ("", "## Headers", "")
    yield "On the paths of the gateway that are cached. A header that nothing here names is **not sent**, and named:"
    yield "once in the log, by `doctor`, and in `X-Encore-Dropped-Headers` of each miss. If the provider needs it, name"
    yield "it in `ENCORE_KEYED_HEADERS`: then it is sent and in the key. On all other paths everything passes."
    yield "A header in the key that differs at nearly every request is named too: by `doctor`, and in"
    yield "`X-Encore-Differing-Headers` of each miss."
    yield ""
    yield "The Python transport sends all headers of its program. There what is not sent here is in the key, but for"
    yield "what is made anew for each connection and for the program's own credentials."
    yield from table(OPENAI.headers, HEADERS, "header")
    yield from ("", "## The body", "")
    yield "Every field is sent and in the key, known or not, but for these. A body in which an object gives a name"
    yield "twice is sent as it was read, so that the provider cannot read it otherwise."
    yield from table(OPENAI.body, BODY, "field")
    yield from ("", "## The query", "")
    yield "All of it, repeated names with their order."
    yield from table(OPENAI.query, QUERY, "name")


def page() -> str:
    """The text of docs/identity.md."""
    return "\n".join(lines()) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
