"""How each outcome is shown on all pages: word, icon, colour, and explanation."""

from __future__ import annotations

from typing import Literal

import msgspec

from core.metrics import reasons
from core.models import HitDetail, OutcomeKind
from pages.components.display.text import plain

Colour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray"]


class Look(msgspec.Struct, frozen=True):
    """Words and icon carry the meaning, the colour only supports it. `hexadecimal` and `dash` are for charts."""

    words: str
    icon: str
    colour: Colour
    hexadecimal: str
    dash: str = "solid"

    @property
    def short(self) -> str:
        """Words for a legend, where all hits stand together."""
        return self.words.removeprefix("hit, ")


# Okabe and Ito's palette: distinct with every common kind of colour blindness, on white and on black.
HIT_EXACT = Look("hit, exact", ":material/bolt:", "blue", "#0072B2")
HIT_NORMALIZED = Look("hit, normalized", ":material/match_case:", "blue", "#56B4E9", "dash")
HIT_SEMANTIC = Look("hit, semantic", ":material/hub:", "green", "#009E73", "dot")
HIT_ALIAS = Look("hit, alias", ":material/link:", "violet", "#CC79A7", "dashdot")
MISS = Look("miss", ":material/cloud_download:", "orange", "#E69F00", "dash")
BYPASS = Look("bypass", ":material/alt_route:", "gray", "#8A929C", "dot")
ERROR = Look("error", ":material/error:", "red", "#D55E00", "dashdot")

HITS = {
    HitDetail.EXACT: HIT_EXACT,
    HitDetail.NORMALIZED: HIT_NORMALIZED,
    HitDetail.SEMANTIC: HIT_SEMANTIC,
    HitDetail.ALIAS: HIT_ALIAS,
}
OTHERS = {OutcomeKind.MISS: MISS, OutcomeKind.BYPASS: BYPASS, OutcomeKind.ERROR: ERROR}


def look(kind: OutcomeKind, detail: HitDetail | None) -> Look:
    """How an outcome is shown."""
    return HITS[detail or HitDetail.EXACT] if kind is OutcomeKind.HIT else OTHERS[kind]


def why(kind: OutcomeKind, detail: HitDetail | None, reason: str) -> str:
    """One sentence with the reason for the outcome."""
    guard, is_guard, name = reason.partition("guard-")
    return reasons.why(kind, detail, f"guard-{plain(name)}" if is_guard and not guard else reason)


def why_forgone(caution: str) -> str:
    """One sentence that says what a caution has cost a miss."""
    return reasons.why_forgone(plain(caution))
