"""Child processes that do not outlive the process that started them.

Owns starting, awaiting and killing one child in a session of its own, so that Ctrl-C in a terminal reaches only the
parent, which then ends its children in the right order. Knows nothing of what the child does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1  # of prctl(2)


def spawn(
    command: Sequence[str | Path],
    *,
    output: Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Starts a command in its own session; what it prints is appended to the file `output`.

    On Linux the kernel sends SIGTERM to the child when the parent is killed and can no longer do so itself.
    Raises OSError when the command or the output file cannot be opened.
    """
    line = [str(part) for part in command]
    if sys.platform == "linux":
        # The request to the kernel is made by the child itself, just before it becomes the command: a function run
        # between fork and exec could block when the parent has threads.
        line = [sys.executable, "-I", "-S", __file__, str(os.getpid()), *line]
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)


def wait(process: subprocess.Popen[bytes], *, grace_seconds: float) -> bool:
    """Waits for a child that was asked to stop, and kills it when it does not. Returns whether it stopped by itself.

    The caller asks, once: many programs take a second SIGTERM as permission to abandon their work.
    """
    try:
        process.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        kill(process)
        return False
    return True


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kills the child and what it started in its session at once, and waits for it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_lines(output: Path, *, count: int = 20) -> str:
    """The end of a child's output file; empty when there is none."""
    try:
        return "\n".join(output.read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return ""


def _become(parent: int, command: list[str]) -> None:
    """Replaces this process by the command, which ends with its parent."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the request was made
        return
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
