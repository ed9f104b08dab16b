"""Which right an invalidation takes: it follows the share of a namespace that would be hidden.

Criteria that select freely (pattern, keywords, age, model) can hide everything without saying so. Tags, keys and users
name what they hide, and come at the rate of events: they take an operator whatever their share.
"""

from __future__ import annotations

from collections.abc import Callable

from ..access import Action, AuditTrail
from ..bans import Criteria
from .preview import LARGE_SHARE, Preview

Doing = Callable[[Criteria, float | None], Action]
"""`invalidating`, `scheduling` or `ending_hold`."""


def require(
    trail: AuditTrail, criteria: Criteria, doing: Doing, preview: Callable[[Criteria], Preview]
) -> Preview | None:
    """Raises AccessDenied unless the actor may do this with what the criteria hide now.

    Whoever may not do it with everything waits for a preview, which is returned: an earlier one is not believed.
    """
    if trail.may(doing(criteria, None)):
        return None
    if criteria.all or criteria.is_everywhere:
        trail.require(doing(criteria, None))
    found = preview(criteria)
    trail.require(doing(criteria, found.highest_share))
    return found


def takes_admin(criteria: Criteria, share: float | None) -> bool:
    """Whether hiding this share (0 to 1) by these criteria is an admin's to do; None is a share that nobody knows."""
    if criteria.all:
        return True
    if criteria.key is not None or criteria.tags or criteria.user is not None:
        return False
    return share is None or share > LARGE_SHARE


def invalidating(criteria: Criteria, share: float | None) -> Action:
    """The action that an invalidation which hides this share takes."""
    if criteria.is_everywhere:
        return Action.EVERYWHERE
    return Action.INVALIDATE_ALL if takes_admin(criteria, share) else Action.INVALIDATE


def scheduling(criteria: Criteria, share: float | None) -> Action:
    """The action that scheduling an invalidation, or running it now, takes when it would hide this share now."""
    if criteria.is_everywhere:
        return Action.EVERYWHERE
    return Action.SCHEDULE_ALL if takes_admin(criteria, share) else Action.SCHEDULE


def ending_hold(criteria: Criteria, share: float | None) -> Action:
    """The action that ending the hold of an invalidation takes which hid this share when it was applied."""
    if criteria.is_everywhere:
        return Action.EVERYWHERE
    return Action.END_HOLD_ALL if takes_admin(criteria, share) else Action.END_HOLD
