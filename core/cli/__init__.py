"""The operator's command line: python -m core. Its commands register themselves with the group as they are imported."""

from core.cli import auditing, bypassing, calibrating, invalidating, looking, scheduling, sending
from core.cli.shell import cli

__all__ = ["auditing", "bypassing", "calibrating", "cli", "invalidating", "looking", "scheduling", "sending"]
