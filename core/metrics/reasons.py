"""Why a request was what it was, in a sentence and in a few words: for each reason that an outcome, a refusal or an
identity can have. Screens, commands, alerts and the operations API say it in these.

Of a reason that is none of these there is nothing to say: it is empty, or as it is called.
"""

from __future__ import annotations

from ..models import HitDetail, OutcomeKind
from ..text import printable

ANOTHER_REQUEST = "another-request"
INVALIDATED = "refused-invalidated"
"""Why a line of an export is not stored, beside the reasons for which no answer is."""
MAX_NAME = 60
MAX_REFUSAL = 300

_FOUND = {
    HitDetail.EXACT: "Exactly this request was answered before.",
    HitDetail.NORMALIZED: ("The same question, only typed otherwise, was answered before."),
    HitDetail.SEMANTIC: "A request that means the same was answered before.",
    HitDetail.ALIAS: "This request was judged to mean the same as one answered before.",
}

_WHY = {
    "absent": "Nothing was stored for this request.",
    "may be the user's own": (
        "Nothing was stored for this request of this user. The answer may be the user's own, so answers to others "
        "were not used."
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
    "new-history": "No question was asked after this history.",
    "history-far": "Questions were asked in other conversations, and none of them is near enough.",
    "history-too-long": "No question was asked after this history, and it is too long to be compared with others.",
    "history-personal": "No question was asked after this history; it is personal and names no user, so it is compared "
    "with no other.",
    "loading": "Nothing was stored for this request, and the index of near questions was still being loaded.",
    "no-embedder": "Nothing was stored for this request, and near questions cannot be looked for.",
    "judge-no": "A near question was answered before, and the judge said that its answer does not fit.",
    "judge-late": "A near question was answered before, and the judge did not answer in time.",
    "judge-over-budget": "A near question was answered before, and the judge's budget for this hour is spent.",
    "judge-overtaken": "A near question was answered before, and the provider answered before the judge.",
    "judge-broken": "A near question was answered before, and the judge failed.",
    "judge-not-shown": "A near question was answered before, and its answer cannot be shown to the judge: it is too "
    "long, calls a tool, or dictates a verdict.",
    "judge-unreadable": "A near question was answered before, and what the judge replied was no verdict.",
    "bans-loading": "Very many invalidations are in force, and this process had not read them all yet.",
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
    "hosted-tool": "The request lets the provider look things up or act.",
    "audio": "Audio answers expire at the provider.",
    "no-user": "The question is personal, and the request names no user.",
    "too-large": "The request is larger than the cache allows.",
    "not-a-number": "The request holds a number that JSON cannot represent.",
    "unencodable": "The request holds a value that cannot be encoded.",
    "unnamed-function": "The function was made with something that has no stable form: give it a function_name.",
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
"""Why no answer came, by the name of what was raised."""

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
    "refused-floor": "Its generation began before an invalidation that has been swept since.",
    "refused-incarnation": "The cache's record was lost while it was being generated.",
    "refused-no-record": "The cache's record was lost while it was being generated.",
    "refused-bans-loading": "Invalidations came meanwhile, and were still being loaded.",
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
        return f"No answer came. {why_error(reason)}".rstrip()
    if reason == "guard-remainder":
        return "A long prompt near it was answered before; it is not sure that the words that differ ask for the same."
    if reason.startswith("guard-"):
        guard = printable(reason[6:], MAX_NAME)
        return f"A near question was answered before; the guard for {guard} sees a difference that matters."
    if reason.startswith("no-vector-"):
        return "Nothing was stored for this request, and it could not be compared with near ones."
    return _WHY.get(reason, "")


def why_error(reason: str) -> str:
    """One sentence with the reason why no answer came."""
    return _ERRORS.get(reason, "")


def why_not_stored(reason: str) -> str:
    """One sentence with the reason why a fresh answer was not stored."""
    return _NOT_STORED.get(reason, "")


_REFUSED = {
    ANOTHER_REQUEST: "The entry answered a request with a system prompt, parameters or a user that the line lacks.",
    INVALIDATED: "It was invalidated after it had been exported.",
}


def why_refused(reason: str) -> str:
    """One sentence with the reason why an answer that somebody brought was not stored."""
    known = _REFUSED.get(reason) or why_not_stored(reason) or why(OutcomeKind.BYPASS, None, reason)
    return known or f"{reason[:1].upper()}{printable(reason[1:], MAX_REFUSAL)}."


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
    return _OWN.get(reason) or printable(reason, MAX_NAME)


def why_forgone(caution: str) -> str:
    """One sentence that says what a caution has cost a miss."""
    return f"It could have been a hit but for this caution: {printable(caution, MAX_NAME)}."


_BRIEFLY_FOUND = {
    HitDetail.EXACT: "the same request",
    HitDetail.NORMALIZED: "only typed otherwise",
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


def briefly(kind: OutcomeKind, detail: HitDetail | None, reason: str, not_stored: str = "") -> str:
    """The reason for an outcome in a few words, for tables."""
    if kind is OutcomeKind.HIT:
        return _BRIEFLY.get(reason) or _BRIEFLY_FOUND[detail or HitDetail.EXACT]
    words = in_few_words(reason)
    return f"{words}; answer not stored" if not_stored and kind is OutcomeKind.MISS else words


def in_few_words(reason: str) -> str:
    """The reason of what was no hit in a few words; one without any as it is called."""
    if reason.startswith("guard-"):
        return f"guard for {printable(reason[6:], MAX_NAME)}"
    if reason.startswith("no-vector-"):
        return "could not be compared"
    if error := why_error(reason):
        return error.rstrip(".").removeprefix("The ")
    return _BRIEFLY.get(reason) or printable(reason, MAX_NAME)
