"""The demo model as a judge of near matches: it compares what it would answer itself.

A stored answer may be given to a new question when the demo model draws on the same facts for both questions, and the
stored answer states one of them. Its own wordings are all it knows, so of other models' answers it approves none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .answers import facts

_BLOCK = re.compile(r"<(?P<token>\S+) (?P<name>[a-z]+ [a-z]+)(?: [0-9])?>\n(?P<text>.*)\n</(?P=token)>(?:\n|$)")


def verdict(messages: Sequence[Mapping[str, Any]]) -> str | None:
    """The reply to a judge's prompt (`core.semantic.judge.prompt`); None when the messages are not such a prompt."""
    content = messages[-1].get("content")
    read = _read(content) if isinstance(content, str) and content.startswith("<") else None
    if read is None:
        return None
    token, texts = read
    known = facts(texts["new question"][0])
    candidates = list(zip(texts["stored question"], texts["stored answer"], strict=True))
    fitting = [
        number
        for number, (stored, given) in enumerate(candidates, 1)
        if known and known == facts(stored) and any(wording.strip() in given for wording in known)
    ]
    reason = "the demo model draws on the same facts" if fitting else "the demo model would answer otherwise"
    if len(candidates) == 1:
        return json.dumps({"token": token, "same": bool(fitting), "reason": reason})
    others = [number for number in range(1, len(candidates) + 1) if number not in fitting]
    return json.dumps(
        {"token": token, "same": fitting[0] if fitting else "none", "different": others, "reason": reason}
    )


def _read(content: str) -> tuple[str, dict[str, list[str]]] | None:
    """The token of a judge's prompt and its texts by the names of their blocks; None for any other text."""
    token, end = "", 0
    texts: dict[str, list[str]] = {"new question": [], "stored question": [], "stored answer": []}
    while end < len(content):
        found = _BLOCK.match(content, end)
        if found is None or (token and found["token"] != token):
            return None
        token, end = found["token"], found.end()
        try:
            text = json.loads(found["text"])
        except ValueError:
            return None
        texts.setdefault(found["name"], []).append(str(text))
    asked, answered = texts["stored question"], texts["stored answer"]
    is_whole = len(texts["new question"]) == 1 and asked and len(asked) == len(answered)
    return (token, texts) if is_whole else None
