"""Pairs of conversations made of public dialogues whose turns were rewritten to stand alone (TREC CAsT, MT-RAG).

A turn and its rewrite ask the same, whatever was said before the rewrite; the same words after another topic do not.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.semantic.sets.chat_pairs import ChatPair, messages_of

_CAST = (
    ("2020/2020_manual_evaluation_topics_v1.0.json", "raw_utterance", ""),
    ("2021/2021_manual_evaluation_topics_v1.0.json", "raw_utterance", "passage"),
    ("2022/2022_evaluation_topics_flattened_duplicated_v1.0.json", "utterance", "response"),
)
_CAST_2019 = "2019/data/evaluation/evaluation_topics_v1.0.json"
_CAST_2019_REWRITES = "2019/data/evaluation/evaluation_topics_annotated_resolved_v1.0.tsv"
_MTRAG = "mtrag-human/retrieval_tasks"
_UNKNOWN = "OK."
"""Stands for an answer that a set does not have."""


class Spoken(NamedTuple):
    """A turn of the user as said, as it was rewritten to stand alone (None: it was not), and the answer to it."""

    said: str
    alone: str | None
    answer: str


def read(cast: Path | None, mtrag: Path | None) -> list[tuple[str, list[Spoken]]]:
    """The dialogues in clones of the two repositories, each with the name of its set."""
    found = [*_cast(cast)] if cast is not None else []
    return found + ([*_mtrag(mtrag)] if mtrag is not None else [])


def pairs(dialogues: Sequence[tuple[str, list[Spoken]]], limit: int, seed: int = 1) -> list[ChatPair]:
    """At most so many pairs, chosen at random by a fixed seed."""
    chance = random.Random(seed)
    made = [pair for place in range(len(dialogues)) for pair in _pairs(dialogues, place, chance)]
    chance.shuffle(made)
    return made[:limit]


def _pairs(dialogues: Sequence[tuple[str, list[Spoken]]], place: int, chance: random.Random) -> Iterator[ChatPair]:
    name, turns = dialogues[place]
    others = [other for number, (kind, other) in enumerate(dialogues) if number != place and kind == name]
    for number in range(1, len(turns)):
        turn = turns[number]
        if not turn.alone:
            continue
        before, elsewhere = turns[:number], chance.choice(others)
        start = elsewhere[: chance.randrange(1, min(3, len(elsewhere)) + 1)]
        own = _chat(before, turn.said)
        rewritten = [Spoken(one.alone or one.said, None, one.answer) for one in before]
        depends = turn.alone.strip().casefold() != turn.said.strip().casefold()
        for category, other, is_same in (
            ("rewritten, after another topic", _chat(start, turn.alone), True),
            ("after a rewritten history", _chat(rewritten, turn.said), True),
            ("after one more exchange", _chat([*elsewhere[:1], *before], turn.said), True),
            ("the same words after another topic", _chat(start, turn.said), not depends),
        ):
            if is_same or depends:
                yield ChatPair(a=own, b=other, equivalent=is_same, category=category)
        another = chance.choice([other for other in range(len(turns)) if other != number])
        begin = turns[:another] or elsewhere[:1]
        yield ChatPair(
            a=own, b=_chat(begin, turns[another].said), equivalent=False, category="another turn of the same dialogue"
        )


def _chat(before: Sequence[Spoken], last: str) -> list[dict[str, str]]:
    return messages_of([*(text for turn in before for text in (turn.said, turn.answer or _UNKNOWN)), last])


def _cast(folder: Path) -> Iterator[tuple[str, list[Spoken]]]:
    lines = (folder / _CAST_2019_REWRITES).read_text(encoding="utf-8").splitlines()
    rewrites = dict(line.split("\t", 1) for line in lines if "\t" in line)
    for topic in json.loads((folder / _CAST_2019).read_text(encoding="utf-8")):
        numbered = [(f"{topic['number']}_{turn['number']}", turn["raw_utterance"]) for turn in topic["turn"]]
        if any(number in rewrites for number, _ in numbered):
            yield "2019", [Spoken(said, rewrites.get(number), "") for number, said in numbered]
    for path, said, answer in _CAST:
        for topic in json.loads((folder / path).read_text(encoding="utf-8")):
            turns = [turn for turn in topic["turn"] if said in turn]
            if turns:
                yield (
                    path[:4],
                    [
                        Spoken(turn[said], turn.get("manual_rewritten_utterance"), turn.get(answer, ""))
                        for turn in turns
                    ],
                )


def _mtrag(folder: Path) -> Iterator[tuple[str, list[Spoken]]]:
    for domain in sorted((folder / _MTRAG).iterdir()):
        if not domain.is_dir():
            continue
        said, alone = (_tasks(domain / f"{domain.name}_{name}.jsonl") for name in ("questions", "rewrite"))
        longest: dict[str, int] = {}
        for name in said:
            dialogue, _, number = name.partition("<::>")
            longest[dialogue] = max(longest.get(dialogue, 0), int(number))
        for dialogue, last in longest.items():
            texts = [text.strip() for text in said[f"{dialogue}<::>{last}"].split("|user|:")[1:]]
            rewrites = [alone.get(f"{dialogue}<::>{number}", "") for number in range(1, len(texts) + 1)]
            stripped = [text.rpartition("|user|:")[2].strip() or None for text in rewrites]
            if len(texts) > 1:
                yield "mtrag", [Spoken(text, rewrite, "") for text, rewrite in zip(texts, stripped, strict=True)]


def _tasks(path: Path) -> dict[str, str]:
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row["_id"]: row["text"] for row in rows}
