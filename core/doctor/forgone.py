"""What the cache's cautions cost: misses of the last day that would have been hits without them."""

from __future__ import annotations

from collections.abc import Iterator

from ..bootstrap import Services
from ..cache import Caution
from .findings import Finding, Level

WINDOW_SECONDS = 86_400

_COST = {
    Caution.MATERIAL.value: (
        "their text may be material to work on, so case, spaces and closing punctuation counted",
        "If your system prompts only say who answers, and how, name them in ENCORE_PLAIN_PROMPTS.",
    ),
    Caution.OWN.value: (
        "they were asked by named users, and may be those users' own",
        "If the provider answers from the request alone, whoever asks, set ENCORE_AUDIENCE(S) to shared.",
    ),
}
"""By caution: why the misses were none of the hits, and what may be done."""


def forgone_findings(services: Services) -> Iterator[Finding]:
    """One finding for each caution that cost hits. Raises StoreUnavailable."""
    summary = services.metrics.summary(WINDOW_SECONDS)
    for caution, count in summary.forgone.items():
        why, remedy = _COST.get(caution, (caution, ""))
        yield Finding(
            area="hits",
            level=Level.OK,
            text=f"At least {count:,} of {summary.misses:,} misses of the last day would have been hits "
            f"({caution}): {why}.",
            remedy=remedy,
        )
