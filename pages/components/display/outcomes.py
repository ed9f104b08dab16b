"""How each outcome is shown on all pages: word, icon, colour, and explanation."""

from __future__ import annotations

from typing import Literal

import msgspec

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


_FOUND = {
    HitDetail.EXACT: "Exactly this request was answered before.",
    HitDetail.NORMALIZED: (
        "A request that differs only in case, white space or closing punctuation was answered before."
    ),
    HitDetail.SEMANTIC: "A request that means the same was answered before.",
    HitDetail.ALIAS: "This request was judged to mean the same as one answered before.",
}

_WHY = {
    "absent": "Nothing was stored for this request.",
    "may be the user's own": (
        "Nothing was stored for this request of this user. Its answer may be the user's own, so those that others got "
        "were not looked at."
    ),
    "may be material": (
        "Nothing was stored for exactly this request, and its text may be material to work on, where case, spaces "
        "and punctuation count."
    ),
    "invalidated": "An invalidation hides the answer that was stored.",
    "expired": "The stored answer was past its TTL.",
    "corrupt": "The stored entry could not be read, so it was not used.",
    "clock": "The stored entry is from the future: the process that wrote it had a wrong clock, so it was not used.",
    "incarnation": "The stored entry is from before the cache's record was lost, so it was not used.",
    "no-record": "The namespace was new, or its invalidation record had been lost.",
    "far": "No question near enough was answered before.",
    "loading": "Nothing was stored for this request, and the index of near questions was still being loaded.",
    "no-embedder": "Nothing was stored for this request, and near questions cannot be looked for.",
    "judge-no": "A near question was answered before, and the judge said that its answer does not fit.",
    "judge-late": "A near question was answered before, and the judge did not answer in time.",
    "judge-over-budget": "A near question was answered before, and the judge's budget for this hour is spent.",
    "judge-overtaken": "A near question was answered before, and the provider answered before the judge.",
    "judge-broken": "A near question was answered before, and the judge failed.",
    "max-age": "The stored answer was older than the request allows.",
    "no-cache": "The request asked for a fresh answer.",
    "store-down": "Redis did not answer, so the provider was asked.",
    "store-timeout": "Redis did not answer in the time that requests wait for it, so the provider was asked.",
    "not-permitted": "Redis' user may not run a command that this takes, so the provider was asked; Health says which.",
    "writes-refused": "Redis takes no writes now, so the provider was asked.",
    "collapsed": "Another caller had sent an equal request; both got its answer.",
    "only-if-cached": "The request allowed cached answers only, and there was none.",
    "revalidating": "The answer was past its TTL; a worker refreshes it.",
    "stale-if-error": "The provider failed, so an older answer was served.",
    "no-store": "The request asked not to use the cache.",
    "temperature": "The temperature is above the limit for caching.",
    "bypass-switch": "The bypass switch of this namespace is on.",
    "endpoint": "The cache does not handle this kind of request.",
    "stateful": "The answer depends on state at the provider.",
    "hosted-tool": "The request lets the provider look things up, or act.",
    "audio": "Audio answers expire at the provider.",
    "no-user": "The question is personal, and the request names no user.",
    "too-large": "The request is larger than the cache allows.",
    "not-a-number": "The request holds a number that JSON cannot represent.",
    "unencodable": "The request holds a value that cannot be encoded.",
    "unnamed-function": "The function was made with something that has no stable form: give it a function_name.",
}

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
    "corrupt": "entry not readable",
    "clock": "written by a wrong clock",
    "incarnation": "record was lost",
    "no-record": "new namespace or lost record",
    "far": "no near question",
    "loading": "near questions still loading",
    "no-embedder": "no embedder",
    "judge-no": "judge said no",
    "judge-late": "judge was late",
    "judge-over-budget": "judge's budget is spent",
    "judge-overtaken": "provider was faster",
    "judge-broken": "judge failed",
    "max-age": "older than allowed",
    "no-cache": "fresh answer requested",
    "store-down": "Redis did not answer",
    "store-timeout": "Redis did not answer in time",
    "not-permitted": "Redis' user may not",
    "writes-refused": "Redis takes no writes",
    "collapsed": "shared another's answer",
    "only-if-cached": "only cached answers allowed",
    "revalidating": "past its TTL, being refreshed",
    "stale-if-error": "provider failed, older answer",
    "no-store": "asked not to use the cache",
    "temperature": "temperature too high",
    "bypass-switch": "bypass switch is on",
    "endpoint": "kind of request not handled",
    "stateful": "depends on the provider's state",
    "hosted-tool": "provider looks things up",
    "audio": "spoken answer",
    "no-user": "personal, names no user",
    "too-large": "request too large",
    "not-a-number": "number not valid in JSON",
    "unencodable": "value cannot be encoded",
    "unnamed-function": "function without a stable form",
}

_ERRORS = {
    "cancelled": "The caller went away before the answer came.",
    "remembered-error": "The provider had failed a moment before.",
    "ProviderUnavailable": "The provider does not answer.",
    "IncompleteStream": "The provider's answer broke off.",
    "APITimeoutError": "The provider did not answer in time.",
    "APIConnectionError": "The provider could not be reached.",
    "AuthenticationError": "The provider refused the key.",
    "PermissionDeniedError": "The provider refused the key.",
    "RateLimitError": "The provider's rate limit was reached.",
    "BadRequestError": "The provider refused the request as invalid.",
    "UnprocessableEntityError": "The provider refused the request as invalid.",
    "NotFoundError": "The provider does not know the model or the address.",
    "ConflictError": "The provider refused the request for now.",
    "InternalServerError": "The provider failed.",
    "APIStatusError": "The provider failed.",
    "APIResponseValidationError": "The provider's answer could not be read.",
}
"""By the name of what was raised."""

_NOT_STORED = {
    "no-store": "Its TTL is 0.",
    "no-cache": "The invalidation record could not be read before it was generated.",
    "store-down": "Redis did not answer.",
    "store-timeout": "Redis did not answer in the time that requests wait for it.",
    "not-permitted": "Redis' user may not run a command that this takes; Health says which.",
    "writes-refused": "Redis takes no writes now.",
    "too-large": "It is larger than the cache allows.",
    "unencodable": "It holds a value that cannot be stored.",
    "refused-invalidated": "It was invalidated while it was being generated.",
    "refused-floor": "It was begun before an invalidation that has been swept since.",
    "refused-incarnation": "The cache's record was lost while it was being generated.",
    "refused-no-record": "The cache's record was lost while it was being generated.",
    "refused-moved": "Invalidations came too fast while it was being stored.",
    "provider-error": "It is an error of the provider.",
    "no-choices": "It holds no answer.",
    "unfinished": "It is incomplete.",
    "truncated": "It was cut off at the token limit.",
    "filtered": "The provider's content filter cut it off.",
    "refusal": "The model refused to answer.",
    "empty": "It is empty.",
    "tool-call": "It calls tools.",
    "hosted-tool": "The provider looked things up for it, or acted.",
    "finish-reason": "Its finish reason is not known to the cache.",
    "audio": "Audio answers expire at the provider.",
    "not-a-number": "It holds a number that JSON cannot represent.",
    "shape": "It does not have the form of an answer.",
    "repeats-caller": "The provider repeats in it what its caller gave beside the question.",
    "unclear": "Its stream can be put together in more ways than one.",
}


def why(kind: OutcomeKind, detail: HitDetail | None, reason: str) -> str:
    """One sentence with the reason for the outcome."""
    if kind is OutcomeKind.HIT:
        found = _FOUND[detail or HitDetail.EXACT]
        return f"{found} {_WHY[reason]}" if reason in _WHY else found
    if kind is OutcomeKind.ERROR:
        return f"No answer came. {_ERRORS[reason]}" if reason in _ERRORS else "No answer came."
    if reason.startswith("guard-"):
        return f"A near question was answered before; the guard for {plain(reason[6:])} sees a difference that matters."
    if reason.startswith("no-vector-"):
        return "Nothing was stored for this request, and it could not be compared with near ones."
    return _WHY.get(reason, "")


def why_not_stored(reason: str) -> str:
    """One sentence with the reason why a fresh answer was not stored."""
    return _NOT_STORED.get(reason, "")


_OWN = {
    "setting": "in this namespace a named user shares nothing",
    "no-rule": "no rule says that the question is the same for everybody",
    "kind": "this kind of question is not the same for everybody",
    "long": "the question is longer than the rules look at",
    "language": "the question is not in a language that the rules know",
    "pointing": "the question points at what only its asker's surroundings know",
    "code-at-hand": "the question may be about code at hand",
    "first-person": "the question speaks in the first person",
    "account": "the question is of an account, an order or the like",
    "earlier": "an earlier turn is not surely the same for everybody",
    "not-text": "the question is not only text",
}


def why_own(reason: str) -> str:
    """Why an answer is the named user's alone, as half a sentence."""
    return _OWN.get(reason) or plain(reason)


def why_forgone(caution: str) -> str:
    """One sentence that says what a caution has cost a miss."""
    return f"It could have been a hit but for this caution: {plain(caution)}."


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
    if reason in _ERRORS:
        return _ERRORS[reason].rstrip(".").removeprefix("The ")
    return _BRIEFLY.get(reason) or one_line(reason, 60)
