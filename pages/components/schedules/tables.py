"""Rows and columns of the table of schedules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from streamlit import column_config as column

from core.invalidation import Schedule
from core.namespaces import Naming
from pages.components.display.figures import local
from pages.components.display.namespaces import shown
from pages.components.display.text import one_line

SCHEDULE_COLUMNS: dict[str, Any] = {
    "name": column.TextColumn("Schedule", width=120),
    "what": column.TextColumn("What", width=190),
    "rhythm": column.TextColumn("How often", width=135),
    "next": column.DatetimeColumn("Next run", format="D MMM, HH:mm", width=110),
    "state": column.TextColumn("State", width=70),
    "last": column.TextColumn("Last run", width=185),
}


def schedules(found: Iterable[Schedule], naming: Naming) -> pd.DataFrame:
    """Schedules, with when they run next."""
    return pd.DataFrame(
        [
            {
                "name": one_line(schedule.name or schedule.id, 60),
                "what": f"{one_line(schedule.what, 100)} in {shown(schedule.namespace, naming)}",
                "rhythm": schedule.rhythm,
                "next": local(schedule.next_run_at).replace(tzinfo=None) if schedule.enabled else None,
                "state": "on" if schedule.enabled else "paused",
                "last": one_line(schedule.last, 120) or "not run yet",
            }
            for schedule in found
        ],
        columns=list(SCHEDULE_COLUMNS),
    )
