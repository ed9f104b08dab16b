"""How each outcome is shown on all pages: word, icon, colour, and explanation."""

from __future__ import annotations

from typing import Literal

import msgspec

from core.entries import reasons
from core.models import HitDetail, OutcomeKind
from pages.components.display.text import one_line, plain

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


_BRIEFLY_FOUND = {
    HitDetail.EXACT: "the same request",
    HitDetail.NORMALIZED: "only case or spaces differ",
    HitDetail.SEMANTIC: "means the same",
    HitDetail.ALIAS: "judged to mean the same",
}

_BRIEFLY = {
    "absent": "nothing stored",
    "may be material": "nothing stored; may be material, so compared exactly",
    "may be the user's own": "nothing stored for this user; may be the user's own",
    "invalidated": "hidden by an invalidation",
    "expired": "past its TTL",
    "corrupt": "entry could not be read",
    "clock": "written by a wrong clock",
    "incarnation": "record was lost",
    "no-record": "new namespace or lost record",
    "far": "no near question",
    "new-history": "new history",
    "history-far": "no near conversation",
    "history-too-long": "history too long",
    "history-personal": "personal history",
    "loading": "near questions still loading",
    "no-embedder": "no embedder",
    "judge-no": "judge said no",
    "judge-late": "judge was late",
    "judge-over-budget": "judge's budget is spent",
    "judge-overtaken": "provider was faster",
    "judge-broken": "judge failed",
    "judge-not-shown": "not shown to the judge",
    "judge-unreadable": "judge's reply was no verdict",
    "bans-loading": "invalidations still loading",
    "max-age": "older than allowed",
    "no-cache": "fresh answer requested",
    "store-down": "Redis did not answer",
    "store-timeout": "Redis did not answer in time",
    "not-permitted": "Redis' user lacks a right",
    "writes-refused": "Redis takes no writes",
    "collapsed": "shared another request's answer",
    "only-if-cached": "only cached answers allowed",
    "revalidating": "past its TTL, being refreshed",
    "stale-if-error": "provider failed, older answer",
    "no-store": "asked not to use the cache",
    "temperature": "temperature too high",
    "bypass-switch": "bypass switch is on",
    "endpoint": "kind of request not handled",
    "stateful": "depends on the provider's state",
    "hosted-tool": "provider looks things up",
    "audio": "audio answer",
    "no-user": "personal, but names no user",
    "too-large": "request too large",
    "not-a-number": "number not valid in JSON",
    "unencodable": "value cannot be encoded",
    "unnamed-function": "function without a stable form",
}


def why(kind: OutcomeKind, detail: HitDetail | None, reason: str) -> str:
    """One sentence with the reason for the outcome."""
    guard, is_guard, name = reason.partition("guard-")
    return reasons.why(kind, detail, f"guard-{plain(name)}" if is_guard and not guard else reason)


def why_forgone(caution: str) -> str:
    """One sentence that says what a caution has cost a miss."""
    return reasons.why_forgone(plain(caution))


def briefly(kind: OutcomeKind, detail: HitDetail | None, reason: str, not_stored: str = "") -> str:
    """The reason for an outcome in a few words, for tables."""
    if kind is OutcomeKind.HIT:
        words = _BRIEFLY.get(reason) or _BRIEFLY_FOUND[detail or HitDetail.EXACT]
    else:
        words = reason_words(reason)
    return f"{words}; answer not stored" if not_stored and kind is OutcomeKind.MISS else words


def reason_words(reason: str) -> str:
    """A reason in a few words; one without any as it is called."""
    if reason.startswith("guard-"):
        return one_line(f"guard for {reason[6:]}", 60)
    if reason.startswith("no-vector-"):
        return "could not be compared"
    if error := reasons.why_error(reason):
        return error.rstrip(".").removeprefix("The ")
    return _BRIEFLY.get(reason) or one_line(reason, 60)
