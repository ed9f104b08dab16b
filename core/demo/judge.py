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

_BLOCKS = re.compile(
    r"<(?P<token>\S+) new question>\n(?P<question>.*)\n</(?P=token)>\n"
    r"<(?P=token) stored question>\n(?P<stored>.*)\n</(?P=token)>\n"
    r"<(?P=token) stored answer>\n(?P<answer>.*)\n</(?P=token)>"
)


def verdict(messages: Sequence[Mapping[str, Any]]) -> str | None:
    """The reply to a judge's prompt (`core.semantic.judge.prompt`); None when the messages are not such a prompt."""
    content = messages[-1].get("content")
    found = _BLOCKS.fullmatch(content) if isinstance(content, str) else None
    if found is None:
        return None
    try:
        question, stored, given = (json.loads(found[name]) for name in ("question", "stored", "answer"))
    except ValueError:
        return None
    known = facts(str(question))
    same = bool(known) and known == facts(str(stored)) and any(wording.strip() in str(given) for wording in known)
    reason = "the demo model draws on the same facts" if same else "the demo model would answer otherwise"
    return json.dumps({"token": found["token"], "same": same, "reason": reason})
