"""The operator's command line: python -m core. Its commands register themselves with the group as they are imported."""

from . import audit as auditing
from . import bypass as bypassing
from . import calibrate as calibrating
from . import clean as cleaning
from . import corrections as correcting
from . import evaluate as evaluating
from . import inspect as looking
from . import invalidations as invalidating
from . import keys as keying
from . import marks as marking
from . import namespaces as naming
from . import questions as grouping
from . import replay as sending
from . import requests as tracing
from . import savings as saving
from . import schedules as scheduling
from . import verdicts as judging
from .formats import moment, table, text
from .shell import EXIT_HELP, Exit, Shell, cli, command

__all__ = [
    "EXIT_HELP", "Exit", "Shell", "auditing", "bypassing", "calibrating", "cleaning", "cli", "command",
    "correcting", "evaluating", "grouping", "invalidating", "judging", "keying", "looking", "marking", "moment",
    "naming", "saving", "scheduling", "sending", "table", "text", "tracing",
]  # fmt: skip
