"""What is marked on time lines: invalidations, and the moments that people and programs have marked."""

from __future__ import annotations

from core.invalidation import InvalidationState
from core.monitoring import DeployMark
from pages.components.data import context, queries
from pages.components.data.context import readings
from pages.components.data.readings import shared
from pages.components.data.view import View
from pages.components.display.charts import Mark

MOST_MARKS = 100


def invalidations(view: View, by_programs: bool) -> list[Mark]:
    """The latest invalidations of the view's namespace by programs, or those by people."""
    return [
        Mark(at=done.applied_at, words=f"{done.state.value}: {done.criteria}")
        for done in queries.invalidations(MOST_MARKS, by_programs).value or ()
        if (view.namespace is None or view.namespace in done.namespaces) and done.state is not InvalidationState.REFUSED
    ]


@shared(readings, max_age=queries.STEP_SECONDS)
def known_deploys() -> list[DeployMark]:
    """The moments that are marked, the latest first."""
    return context.services().marks.all()


def deploys(view: View) -> list[DeployMark]:
    """The marked moments of the view's namespace, the latest first; of all without one. Empty if they are not known."""
    found = known_deploys().value or ()
    return [mark for mark in found if view.namespace is None or mark.namespace in (None, view.namespace)]
