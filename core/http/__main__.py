"""`python -m core.http`: the gateway as a process. SIGTERM or Ctrl-C ends it, with status 0."""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType

from ..text import log_lines


def main() -> int:
    """Runs the gateway until SIGTERM or Ctrl-C. Returns the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop_before_start)
    log_lines(logging.INFO)
    for name in ("httpx2", "httpcore2", "openai"):  # they log addresses, which may hold what is nobody's business
        logging.getLogger(name).setLevel(logging.WARNING)
    from ..errors import CacheError
    from ..settings import Settings
    from .server import serve

    try:
        serve(Settings())
    except CacheError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _stop_before_start(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
