"""From which cosine on a judge is asked: what its calls brought says whether to ask about more, or fewer. Pure.

A step down is taken when calls about the least near candidates pay and people found the judge's approvals right; a step
up when those calls do not pay, or when its approvals are surely wrong too often. In between the cosine stays. Steps and
limits go by the cosine that is configured, since cosines of different embedders live elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from ...models import SemanticMode
from ...text import many, share
from .betting import least_wrong, most_wrong
from .calibration import Labeller, labels_still_needed
from .records import LookupRecord, PairRecord

if TYPE_CHECKING:
    from .threshold import Threshold

LEAST_WORTH: Final = 0.05
"""The share of calls that must find an answer, whatever they cost: each delays a request."""
MOST_WORTH: Final = 0.5
UNKNOWN_WORTH: Final = 0.1
"""The share where no prices are known."""

_STEPS: Final = 6
"""Steps from the configured cosine to 1; four of them down is the lowest, four up the highest."""
_MOST_STEPS: Final = 4
_REPLIED: Final = frozenset({"yes", "no", "unnamed"})


class Grey(msgspec.Struct, frozen=True, kw_only=True):
    """The cosine to ask the judge from that evidence supports, beside the `present` one, and the reason in words.

    `hits` of `calls` about nothing as near as `below` found an answer; from a share of `worth` on they pay. Of the
    answers that the judge approved, from the present cosine on, people `checked` some: `wrong` were, and at most a
    share of `bound`.
    """

    present: float
    cosine: float
    reason: str
    below: float
    calls: int
    hits: int
    worth: float
    checked: int
    wrong: int
    bound: float

    @property
    def sentence(self) -> str:
        """From where a judge is asked now, what evidence will make of that, and why."""
        if self.cosine != self.present:
            then = ", and within the hour "
        else:
            then = ", which " if self.reason.startswith("stays") else ", "
        return f"Judged from {self.present:.3f} on{then}{self.reason}."


class _Call(NamedTuple):
    """One call to the judge: the cosine of the nearest candidate that it was shown, and of the one it named."""

    nearest: float
    named: float | None


def advised(
    lookups: Iterable[LookupRecord],
    labels: Sequence[PairRecord],
    threshold: Threshold,
    configured: float,
    budget: float,
) -> Grey | None:
    """What evidence of one namespace and embedder says of the cosine to judge from; None where nothing is judged.

    `configured` is the cosine in the settings, `budget` the share of false hits per hit.
    """
    if threshold.mode is not SemanticMode.JUDGE:
        return None
    grey = threshold.grey
    step = (1 - configured) / _STEPS
    lower, higher = _rounded(grey - step), _rounded(grey + step)
    lowest, highest = _rounded(configured - _MOST_STEPS * step), _rounded(configured + _MOST_STEPS * step)
    calls = [call for lookup in lookups if (call := _call_of(lookup)) is not None]
    found = _found(calls, grey, higher)
    worth = _worth(labels)
    checked, wrong = _checked(labels, grey)
    bound = most_wrong(wrong, checked)
    seen = (
        f"{found.hits} of {many(found.calls, 'call')} about nothing nearer than {higher:.3f} found an answer, and from "
        f"{share(worth, 0)} on they pay"
    )
    cosine, reason = grey, f"stays: {seen}, which is not certain yet"
    if threshold.grey_fixed:
        reason = f"set by hand: {seen}"
    elif checked and least_wrong(wrong, checked) > budget:
        if higher <= min(highest, threshold.serve or 1.0):
            cosine = higher
            reason = f"up to {higher:.3f}: {wrong} of {many(checked, 'approval')} that people checked were wrong"
    elif found.surely_below(worth):
        if higher <= min(highest, threshold.serve or 1.0):
            cosine, reason = higher, f"up to {higher:.3f}: {seen}"
    elif found.surely_above(worth) and lower >= lowest and not _found(calls, lower, grey).surely_below(worth):
        if bound <= budget:
            cosine = lower
            reason = f"down to {lower:.3f}: {seen}; {wrong} of {many(checked, 'checked approval')} were wrong"
        else:
            needed = labels_still_needed(wrong, checked, budget)
            reason = f"stays: {seen}; to go lower, check {many(needed, 'more approval')} of the judge"
    return Grey(
        present=grey,
        cosine=cosine,
        reason=reason,
        below=higher,
        calls=found.calls,
        hits=found.hits,
        worth=worth,
        checked=checked,
        wrong=wrong,
        bound=bound,
    )


class _Found(NamedTuple):
    """Calls, and those that found an answer."""

    calls: int
    hits: int

    def surely_below(self, share_of_calls: float) -> bool:
        """Whether so few found one that the share is implausible."""
        return self.calls > 0 and most_wrong(self.hits, self.calls) < share_of_calls

    def surely_above(self, share_of_calls: float) -> bool:
        """Whether so many found one that a lower share is implausible."""
        return self.calls > 0 and least_wrong(self.hits, self.calls) > share_of_calls


def _found(calls: Iterable[_Call], lowest: float, below: float) -> _Found:
    """The calls that would not have been made with a higher cosine, and the hits that would have been lost."""
    made = [call for call in calls if lowest <= call.nearest < below]
    return _Found(len(made), sum(call.named is not None for call in made))


def _call_of(lookup: LookupRecord) -> _Call | None:
    shown = [seen for seen in lookup.seen if seen.ruling in _REPLIED]
    if not shown:
        return None
    named = next((seen.similarity for seen in shown if seen.ruling == "yes"), None)
    return _Call(max(seen.similarity for seen in shown), named)


def _worth(labels: Iterable[PairRecord]) -> float:
    """The share of calls that must find an answer to pay: what a call costs by what an answer saves."""
    judged = [record for record in labels if record.labeller is Labeller.JUDGE]
    costs = [record.cost_usd for record in judged if record.cost_usd]
    savings = [record.saved_usd for record in judged if record.served and record.saved_usd]
    if not costs or not savings:
        return UNKNOWN_WORTH
    worth = (sum(costs) / len(costs)) / (sum(savings) / len(savings))
    return min(max(worth, LEAST_WORTH), MOST_WORTH)


def _checked(labels: Iterable[PairRecord], grey: float) -> tuple[int, int]:
    """The judge's approvals from a cosine on that people have labelled too, and how many of them they called wrong."""
    latest: dict[tuple[str, Labeller], bool] = {}
    for record in sorted(labels, key=lambda record: record.at):
        if record.similarity >= grey:
            latest[record.pair, record.labeller] = record.equivalent
    told = [
        latest[pair, Labeller.OPERATOR]
        for (pair, labeller), said in latest.items()
        if labeller is Labeller.JUDGE and said and (pair, Labeller.OPERATOR) in latest
    ]
    return len(told), told.count(False)


def _rounded(cosine: float) -> float:
    return round(cosine, 3)
