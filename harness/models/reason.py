"""Why something went wrong, out of a library's long message."""

from __future__ import annotations


def first_line(problem: BaseException) -> str:
    """The first line of an exception's message without its full stop; the name of its class if it has none."""
    if isinstance(problem, KeyError):  # whose message is the bare key
        return f"{problem} is missing"
    lines = str(problem).strip().splitlines()
    return lines[0].rstrip(".: ") if lines else type(problem).__name__
