"""Writes files whole or not at all: a temporary file beside the target, then one rename."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from harness.exceptions import FileProblem, HarnessError, StageFailed

FAILED_HALF_WAY = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}
"""What a disk says in the middle of the work, not because of a wrong name."""


def ready_folder(folder: Path, stage: str = "Preparing the data") -> None:
    """Make the output folder and check that it takes files; FileProblem if it is a file or read-only."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, probe = tempfile.mkstemp(dir=folder, prefix=".probe-")
        os.close(handle)
        Path(probe).unlink()
    except OSError as problem:
        raise _cannot_write(folder, problem, stage) from problem


def write_whole(path: Path, content: bytes, stage: str = "Preparing the data") -> None:
    """Replace `path` by `content`, flushed to disk; an earlier file stays untouched if anything fails.

    A full disk is a StageFailed that names the stage, a folder that takes no files a FileProblem.
    """
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private; data files are as readable as any other output.
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as problem:
        raise _cannot_write(path, problem, stage) from problem
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _cannot_write(path: Path, problem: OSError, stage: str) -> HarnessError:
    reason = problem.strerror or type(problem).__name__
    if problem.errno in FAILED_HALF_WAY:
        resume = "Make room and give the same command again."
        return StageFailed(stage, f"{path} could not be written ({reason}).", resume)
    if problem.errno in {errno.EEXIST, errno.ENOTDIR}:
        return FileProblem(path, "this is, or lies below, a file, but must be an output folder.")
    return FileProblem(path, f"this cannot be written ({reason}).")
