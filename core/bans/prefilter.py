"""What a prompt must contain to be selected by its text: lets a server leave out most prompts without knowing Unicode.

Keywords are compared without case and patterns as they are, both in NFC (see core.bans.criteria). A server compares
bytes. So a required substring is a run of lower-case ASCII. A prompt that the criteria select contains it once the
prompt's own ASCII letters are in lower case, unless it has one of ASCII_FOLDING, the only other characters that become
ASCII.
"""

from __future__ import annotations

import re
from itertools import chain

from ..text import fold, nfc
from .criteria import Criteria

ASCII_FOLDING = tuple(
    character.encode()
    for character in "\u00df\u0130\u0149\u017f\u01f0\u037e\u1e96\u1e97\u1e98\u1e99\u1e9a\u1e9e\u1fef\u212a"
    "\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06"
)
"""All characters of which NFC and case folding make ASCII, in UTF-8: ß, the Kelvin sign, ligatures and a few more."""
FOLDING_LEADS = min(ASCII_FOLDING)[:1], max(ASCII_FOLDING)[:1]
"""The lowest and the highest byte that ASCII_FOLDING begin with: of ASCII none is between them."""

_ASCII_RUN = re.compile(r"[\x20-\x7e]+")
_WILDCARD = re.compile(r"[*?]|\[.*", re.DOTALL)


def required_substrings(criteria: Criteria) -> frozenset[frozenset[bytes]] | None:
    """Groups of lower-case ASCII: a prompt that the criteria select has all of one group, or one of ASCII_FOLDING.

    None when the criteria require no text.
    """
    of_pattern = _of_pattern(criteria)
    of_keywords = [_runs(fold(word)) for word in criteria.keywords]
    if criteria.keyword_mode == "all" or not of_keywords:
        of_keywords = [frozenset(chain.from_iterable(of_keywords))]
    groups = frozenset(each | of_pattern for each in of_keywords)
    return groups if all(groups) else None


def _of_pattern(criteria: Criteria) -> frozenset[bytes]:
    if criteria.pattern is None or criteria.may_match_digest:
        return frozenset()
    pieces = _WILDCARD.split(nfc(criteria.pattern))
    return frozenset(run.lower() for run in chain.from_iterable(map(_runs, pieces)))


def _runs(text: str) -> frozenset[bytes]:
    return frozenset(run.encode() for run in _ASCII_RUN.findall(text))
