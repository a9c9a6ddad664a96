"""`python -m harness.checkpoints.fetch ALIAS`: put a model into the user cache, so that tests need no network."""

from __future__ import annotations

import sys

from harness.checkpoints.resolve import resolve
from harness.exceptions import HarnessError


def main(names: list[str]) -> int:
    """Resolve every name; returns the exit code."""
    for name in names:
        try:
            folder = resolve(name).folder
        except HarnessError as problem:
            sys.stderr.write(f"harness: {problem}\n")
            return problem.exit_code
        sys.stdout.write(f"{name}: {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
