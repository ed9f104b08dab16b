"""Pairs of long prompts from `sets/long`: pasted texts under orders, and prompts with one thing turned."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "long"
ORDERS_APART = 4
"""Of the pairs of two orders on one text every fourth is taken where there are hundreds."""
CALLED_BELOW = {"prose": ("the text below", "the following text"), "code": ("this",), "table": ("this",)}
CALLED_ABOVE = {"prose": ("the text above", "this text"), "code": ("this",), "table": ("this",)}
PLACES = ("before", "after", "preamble")
POLITE = ("Please: {}", "Hi! {}", "{}\n\nThank you!", "{}\n\nThanks in advance.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LongPair:
    """Two prompts, whether one answer serves both, and what kind of pair they are."""

    kind: str
    a: str
    b: str
    same: bool


def long_pairs(name: str) -> list[LongPair]:
    """The pairs of one file (`development`, `held_back`), each once."""
    rows = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    pairs = [
        *_orders_of_others(rows),
        *_twins(rows),
        *_changes(rows),
        *_turned(rows),
        *_asked(rows),
        *_alike(rows),
        *_rewordings(rows),
    ]
    return list({(pair.a, pair.b): pair for pair in pairs if pair.a != pair.b}.values())


def _laid_out(rows: dict[str, Any], text: dict[str, str], order: str, place: str, variant: int = 0) -> str:
    """A prompt: the order before or after the pasted text, or between a preamble and the text."""
    called = (CALLED_ABOVE if place == "after" else CALLED_BELOW)[text["kind"]]
    order = order.replace("{it}", called[variant % len(called)])
    body = text["body"].strip("\n")
    if place == "after":
        return f"{body}\n\n{order}"
    head = rows["preambles"][0]["body"].strip() + "\n\n" if place == "preamble" else ""
    return f"{head}{order}\n\n{body}"


def _of_kind(rows: dict[str, Any], text: dict[str, str]) -> list[dict[str, Any]]:
    return [order for order in rows["orders"] if order["kind"] == text["kind"]]


def _orders_of_others(rows: dict[str, Any]) -> Iterator[LongPair]:
    for text in rows["texts"]:
        apart = list(combinations(_of_kind(rows, text), 2))
        for number, (one, other) in enumerate(apart[:: ORDERS_APART if len(apart) > 100 else 1]):
            place = PLACES[number % len(PLACES)]
            first, second = (
                _laid_out(rows, text, order["wordings"][(number + turn) % len(order["wordings"])], place, number)
                for turn, order in enumerate((one, other))
            )
            yield LongPair(kind="another order", a=first, b=second, same=False)
            if place == "after":
                moved = _laid_out(rows, text, other["wordings"][0], "before")
                yield LongPair(kind="another order, moved", a=first, b=moved, same=False)
    for order in rows["orders"][::4]:
        texts = [text for text in rows["texts"] if text["kind"] == order["kind"]]
        for one, two in combinations(texts, 2):
            first, second = (_laid_out(rows, text, order["wordings"][0], "before") for text in (one, two))
            yield LongPair(kind="another text", a=first, b=second, same=False)


def _twins(rows: dict[str, Any]) -> Iterator[LongPair]:
    for text in rows["texts"]:
        for number, order in enumerate(_of_kind(rows, text)):
            for turn, twin in enumerate(order.get("twins", ())):
                place = PLACES[(number + turn) % len(PLACES)]
                wording = order["wordings"][turn % len(order["wordings"])]
                a, b = (_laid_out(rows, text, given, place) for given in (wording, twin))
                yield LongPair(kind="an order in nearly the same words", a=a, b=b, same=False)


def _changes(rows: dict[str, Any]) -> Iterator[LongPair]:
    texts = {text["name"]: text for text in rows["texts"]}
    for edit in rows["edits"]:
        text = texts[edit["text"]]
        orders = _of_kind(rows, text)
        for number, (old, new) in enumerate(edit["changes"]):
            order = orders[number % len(orders)]
            for turn in (0, 1):
                place = PLACES[(number + turn) % len(PLACES)]
                a = _laid_out(rows, text, order["wordings"][0], place)
                b = _laid_out(rows, _changed(text, old, new), order["wordings"][turn], place)
                yield LongPair(kind="one place of the text changed", a=a, b=b, same=False)
    for paragraph in rows["paragraphs"]:
        text = texts[paragraph["text"]]
        for number, order in enumerate(_of_kind(rows, text)[:9]):
            a = _laid_out(rows, text, order["wordings"][0], PLACES[number % 3])
            b = _laid_out(
                rows, _changed(text, paragraph["old"], paragraph["new"]), order["wordings"][0], PLACES[number % 3]
            )
            yield LongPair(kind="another paragraph", a=a, b=b, same=False)


def _changed(text: dict[str, str], old: str, new: str) -> dict[str, str]:
    assert text["body"].count(old) >= 1, (text["name"], old)
    return text | {"body": text["body"].replace(old, new, 1)}


def _turned(rows: dict[str, Any]) -> Iterator[LongPair]:
    for prompt in rows["turned"]:
        for old, new in prompt["changes"]:
            b = _changed({"name": prompt["a"], "body": prompt["a"]}, old, new)["body"]
            yield LongPair(kind="one word turned", a=prompt["a"], b=b, same=False)


def _asked(rows: dict[str, Any]) -> Iterator[LongPair]:
    bodies = {text["name"]: text["body"].strip() for text in (*rows["texts"], *rows["preambles"])}
    for asked in rows["asked"]:
        shapes = ("{body}\n\n{question}", "{body}\n\nQuestion: {question}\nAnswer:", "{question}\n\n{body}")
        first, *wordings = asked["wordings"]
        for shape in shapes:
            a, *right = (
                shape.format(body=bodies[asked["under"]], question=question) for question in (first, *wordings)
            )
            wrong = (shape.format(body=bodies[asked["under"]], question=question) for question in asked["others"])
            yield from (LongPair(kind="another question on one text", a=a, b=b, same=False) for b in wrong)
            yield from (LongPair(kind="a question in other words", a=a, b=b, same=True) for b in right)


def _alike(rows: dict[str, Any]) -> Iterator[LongPair]:
    texts = {text["name"]: text for text in rows["texts"]}
    for alike in rows["alike"]:
        text = texts.get(alike["name"], alike)
        for other in alike.get("others", (alike["body"],)):
            for number, order in enumerate(_of_kind(rows, text)):
                a, b = (
                    _laid_out(rows, given, order["wordings"][0], PLACES[number % len(PLACES)])
                    for given in (text, text | {"body": other})
                )
                yield LongPair(kind="another text of the kind", a=a, b=b, same=False)


def _rewordings(rows: dict[str, Any]) -> Iterator[LongPair]:
    for text in rows["texts"]:
        for number, order in enumerate(_of_kind(rows, text)):
            wordings = order["wordings"]
            for turn in range(1, len(wordings)):
                place = PLACES[(number + turn) % len(PLACES)]
                a, b = (
                    _laid_out(rows, text, wordings[index], place, variant)
                    for variant, index in ((0, 0), (turn % 2, turn))
                )
                yield LongPair(kind="an order in other words", a=a, b=b, same=True)
            plain = _laid_out(rows, text, wordings[0], PLACES[number % 3])
            yield LongPair(kind="politeness", a=plain, b=POLITE[number % len(POLITE)].format(plain), same=True)
            if number % 2:
                above, below = (_laid_out(rows, text, wordings[0], place) for place in ("after", "before"))
                yield LongPair(kind="an order moved", a=above, b=below, same=True)
    for prompt in rows["reworded"]:
        for wording in prompt["wordings"]:
            yield LongPair(kind="a prompt in other words", a=prompt["a"], b=wording, same=True)
