"""The user's cache of converted models: made once, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.data.files import FAILED_HALF_WAY
from harness.exceptions import FileProblem, StageFailed
from harness.models.files import weight_files

ORIGIN = "origin.json"
"""What a converted folder was made from."""


def cache_folder() -> Path:
    """Where converted models live: `$HARNESS_CACHE`, else `~/.cache/checkpoint-harness`."""
    return Path(os.environ.get("HARNESS_CACHE") or Path.home() / ".cache" / "checkpoint-harness")


def cached_model(name: str, origin: Mapping[str, str], make: Callable[[Path], Path]) -> Path:
    """Folder of the model `name`, as it is if it was made from `origin`, else made by `make(scratch folder)`.

    What `make` returns is renamed into place when it is complete, so a kill leaves nothing half-made there. Of
    two processes at once the first to finish wins, and the other uses its folder.
    """
    folder = cache_folder() / "models" / name
    if _is_current(folder, origin):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=folder.parent, prefix=f".{name}-", ignore_cleanup_errors=True
        ) as scratch:
            made = make(Path(scratch))
            (made / ORIGIN).write_text(json.dumps(origin), encoding="utf-8")
            _move(made, folder, origin)
    except OSError as problem:
        reason = f"the model cannot be stored here ({problem.strerror or problem})"
        if problem.errno in FAILED_HALF_WAY:
            resume = "Make room, or set HARNESS_CACHE to another place, and give the same command again."
            raise StageFailed("Converting the model", f"{folder}: {reason}.", resume) from problem
        raise FileProblem(folder, f"{reason}; HARNESS_CACHE names another place.") from problem
    return folder


def _move(made: Path, folder: Path, origin: Mapping[str, str]) -> None:
    """Put a finished folder in place unless another process has just done so."""
    if _is_current(folder, origin):
        return
    if folder.exists():
        shutil.rmtree(folder)
    try:
        made.rename(folder)
    except OSError:
        if not _is_current(folder, origin):
            raise


def _is_current(folder: Path, origin: Mapping[str, str]) -> bool:
    try:
        found = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(found == dict(origin) and weight_files(folder))
