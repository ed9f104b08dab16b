"""Health, alerts and metrics for those who watch the cache."""

from typing import TYPE_CHECKING

from .alert_board import AlertBoard
from .alerts import Alert, AlertRules, Severity, enough_seconds
from .deploy_marks import KEPT_SECONDS, LONGEST_MARK, DeployMark, DeployMarks
from .header_board import HeaderBoard, NamedHeader, Why
from .health import FRESH_SECONDS, HealthReader, RecentHealth
from .worker_pools import BEAT_SECONDS, Pool, WorkerPools

if TYPE_CHECKING:
    from . import prometheus  # loaded when it is imported from here: its library brings a web server along

__all__ = [
    "BEAT_SECONDS",
    "FRESH_SECONDS",
    "KEPT_SECONDS",
    "LONGEST_MARK",
    "Alert",
    "AlertBoard",
    "AlertRules",
    "DeployMark",
    "DeployMarks",
    "HeaderBoard",
    "HealthReader",
    "NamedHeader",
    "Pool",
    "RecentHealth",
    "Severity",
    "Why",
    "WorkerPools",
    "enough_seconds",
    "prometheus",
]
