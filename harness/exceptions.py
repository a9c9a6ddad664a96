"""Everything the harness raises on purpose.

In this field an *error* is the model's mistake, so these are called exceptions. Each class owns its
sentence: the call site passes values, the class says what was wrong, what was given and what is allowed.
`exit_code` is what the command line returns: 1 the answer is no, 2 usage or input, 3 failed half-way.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


def nearest(given: str, allowed: Iterable[str]) -> str | None:
    """The allowed name closest to `given`, or None if none is close."""
    lowered = {name.lower(): name for name in allowed}
    found = difflib.get_close_matches(given.lower(), lowered, n=1, cutoff=0.5)
    return lowered[found[0]] if found else None


class HarnessError(Exception):
    """Base of all exceptions of this package; str() is one plain sentence for the user."""

    exit_code = 3


class InputError(HarnessError):
    """Something the user gave cannot be used. Raised before any model runs."""

    exit_code = 2


class UnknownName(InputError):
    """A name that is looked up in a fixed list is not in it."""

    def __init__(self, what: str, given: str, allowed: Iterable[str]) -> None:
        names = sorted(set(allowed))
        hint = nearest(given, names)
        guess = f" Did you mean {hint!r}?" if hint else ""
        listing = ", ".join(names) if names else "none"
        super().__init__(f"Unknown {what} {given!r}.{guess} Allowed: {listing}.")
        self.given = given
        self.allowed = names


class BadValue(InputError):
    """A setting has a value that is not allowed."""

    def __init__(self, setting: str, given: object, allowed: str) -> None:
        super().__init__(f"{setting} is {given!r}, but must be {allowed}.")


class FileProblem(InputError):
    """A file or folder cannot be used; `line` is counted from 1."""

    def __init__(self, path: Path | str, problem: str, line: int | None = None) -> None:
        where = f"{path}, line {line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {problem}")
        self.path = Path(path)
        self.line = line


class MissingExtra(InputError):
    """An optional package is needed and not installed."""

    def __init__(self, purpose: str, package: str, extra: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'checkpoint-harness[{extra}]'"
        )


class StageFailed(HarnessError):
    """A stage broke half-way. What was finished is stored; `resume` says how to go on."""

    exit_code = 3

    def __init__(self, stage: str, problem: str, resume: str) -> None:
        super().__init__(f"{stage} stopped: {problem} Everything done so far is stored. {resume}")


class CheckpointBroken(HarnessError):
    """A checkpoint returned numbers that are not finite."""

    exit_code = 1
