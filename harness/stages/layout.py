"""Where things lie in an experiment's folder, and what may be written where."""

from __future__ import annotations

import os
from pathlib import Path

from harness.data.files import ready_folder, write_whole
from harness.exceptions import FileProblem

DATA = "data"
CHECKPOINTS = "checkpoints"
EVALUATIONS = "eval"


def check_folder(folder: Path) -> None:
    """Refuse an output folder that is a file or cannot be written, before any work; nothing is made."""
    try:
        if folder.exists() and not folder.is_dir():
            raise FileProblem(folder, "this is a file; the output needs a folder.")
        near = folder
        while not near.exists() and near != near.parent:
            near = near.parent
    except OSError as problem:
        raise FileProblem(folder, f"this folder cannot be made ({problem.strerror}).") from problem
    if not near.is_dir():
        raise FileProblem(near, "this is a file; the output needs a folder.")
    if not os.access(near, os.W_OK | os.X_OK):
        raise FileProblem(near, f"this folder cannot be written ({_why_not(near)}).")


def check_file(path: Path) -> None:
    """Refuse an output file that is a folder or whose folder cannot be written, before any work."""
    check_folder(path.parent)
    if path.is_dir():
        raise FileProblem(path, "this is a folder; the output needs a file name.")


def write_output(path: Path, content: bytes, stage: str = "Writing the results") -> None:
    """Write a file whole or not at all and make its folder; a full disk is a StageFailed that names the stage."""
    ready_folder(path.parent, stage)
    write_whole(path, content, stage)


def _why_not(folder: Path) -> str:
    read_only = bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
    return "the file system is read-only" if read_only else "you may not write here"
