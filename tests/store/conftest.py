"""Real processes for the store's tests: started, listened to, killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python on a script; its arguments follow in sys.argv[1:]. Killed at the end."""
    running: list[subprocess.Popen[str]] = []

    def run(script: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def killed_after(start: Start) -> Callable[..., list[str]]:
    """Run a script, kill it (SIGKILL) once it has printed `lines` lines, and return all that it had printed.

    The script prints a line, flushed, for each thing it holds to be safe. `wait` seconds pass between the
    line and the kill: vary them, or every kill comes right after a line, before the next work has begun.
    """

    def run(script: str, lines: int, *arguments: object, wait: float = 0.0) -> list[str]:
        process = start(script, *arguments)
        assert process.stdout is not None
        assert process.stderr is not None
        seen: list[str] = []
        while len(seen) < lines:
            line = process.stdout.readline()
            assert line, f"ended before it could be killed: {process.stderr.read()}"
            seen.append(line.strip())
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        # Whole lines written between the last one read and the kill were promised as well. They are read from
        # the same stream: communicate() reads below it and would miss what the stream has taken in already.
        rest = process.stdout.read()
        assert process.wait() == -signal.SIGKILL
        return seen + [line.strip() for line in rest.splitlines(keepends=True) if line.endswith("\n")]

    return run
