"""What a training leaves on disk, and how to tell a complete save from one that was cut off.

    out/training.json           digest of settings, data and base; the finished record once there is one
    out/checkpoint-50/          adapter (or weights), optimizer, scheduler, random states, trainer_state.json
    out/checkpoint-50/complete.json   written last: size and SHA-256 of every file
    out/replaced-1a2b3c4d/      saves of an earlier training with other settings, moved aside

A folder without a valid `complete.json` was cut off by a kill and is never used. Standard library only.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.exceptions import FileProblem
from harness.models.files import file_digest
from harness.records import Training, TrainingPoint

RECORD = "training.json"
MARKER = "complete.json"
LOCK = "training.lock"
STATE = "trainer_state.json"
_PREFIX = "checkpoint-"


@dataclass(frozen=True, slots=True)
class Session:
    """What a save must remember beside the trainer's own state."""

    seconds: float
    """Training time up to the save, over all sessions."""
    trainable_parameters: int
    total_parameters: int


@contextmanager
def training_lock(out: Path) -> Iterator[None]:
    """Keep a second process from training into the same folder; the lock ends with its process, killed or not."""
    from filelock import FileLock, Timeout

    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / LOCK, timeout=0):
            yield
    except Timeout as problem:
        raise FileProblem(out, "another process is training into this folder.") from problem
    except OSError as problem:
        raise FileProblem(out, f"the training cannot be stored here ({problem.strerror}).") from problem


def complete_checkpoints(out: Path) -> list[tuple[int, Path]]:
    """(step, folder) of every complete save below `out`, by step; sizes are checked, contents are not."""
    return [(step, folder) for step, folder in _checkpoints(out) if _is_complete(folder)]


def sound_checkpoints(out: Path) -> list[tuple[int, Path]]:
    """List the complete saves whose files all still have the digest they were written with."""
    return [
        (step, folder)
        for step, folder in complete_checkpoints(out)
        if all(file_digest(folder / name) == sha for name, (_, sha) in _marker(folder)["files"].items())
    ]


def drop_incomplete(out: Path, sound: list[tuple[int, Path]]) -> None:
    """Delete what a kill left behind: checkpoint folders that are not in `sound`."""
    kept = {folder for _, folder in sound}
    for _, folder in _checkpoints(out):
        if folder not in kept:
            shutil.rmtree(folder)


def mark_complete(folder: Path, session: Session) -> None:
    """Write the marker of a finished save: the last file, after all others are on disk."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    for path in files:
        _sync(path)
    state = {path.relative_to(folder).as_posix(): [path.stat().st_size, file_digest(path)] for path in files}
    _write_json(folder / MARKER, {"files": state, "session": asdict(session)})


def session_of(folder: Path) -> Session:
    """Read back what `mark_complete` was told."""
    return Session(**_marker(folder)["session"])


def trainer_state(folder: Path) -> Mapping[str, Any]:
    """Read the trainer's own state of a save."""
    state: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
    return state


def open_training(out: Path, digest: str, resolved: Mapping[str, str]) -> Mapping[str, str]:
    """Make `out` the folder of the training with this digest; returns what its first session resolved.

    Saves of a training with another digest, and saves that nothing is known of, are moved aside into
    `out/replaced-*`. A folder that cannot be written is a FileProblem.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        known = _read_record(out)
        if known.get("digest") == digest:
            return dict(known["resolved"])
        _move_aside(out, str(known.get("digest", "unknown"))[:8])
        _write_json(out / RECORD, {"digest": digest, "resolved": dict(resolved), "training": None})
    except OSError as problem:
        raise FileProblem(out, f"the training cannot be stored here ({problem.strerror}).") from problem
    return resolved


def store_training(out: Path, digest: str, resolved: Mapping[str, str], training: Training) -> None:
    """Store the record of a finished training."""
    _write_json(out / RECORD, {"digest": digest, "resolved": dict(resolved), "training": asdict(training)})


def stored_training(out: Path, digest: str | None = None) -> Training | None:
    """Read the finished training (of this digest, if given), if `out` holds one and its saves are still there."""
    known = _read_record(out)
    if digest not in {None, known.get("digest")} or not known.get("training"):
        return None
    record = dict(known["training"])
    record["points"] = tuple(TrainingPoint(**point) for point in record["points"])
    there = complete_checkpoints(out)
    if [step for step, _ in there] != [step for step, _ in record["checkpoints"]]:
        return None
    record["checkpoints"] = tuple((step, str(folder)) for step, folder in there)
    return Training(**record)


def _checkpoints(out: Path) -> list[tuple[int, Path]]:
    if not out.is_dir():
        return []
    found = [(path.name.removeprefix(_PREFIX), path) for path in out.glob(f"{_PREFIX}*") if path.is_dir()]
    return sorted((int(step), path) for step, path in found if step.isdecimal())


def _is_complete(folder: Path) -> bool:
    files = _marker(folder).get("files", {})
    return bool(files) and all(
        (folder / name).is_file() and (folder / name).stat().st_size == size
        for name, (size, _) in files.items()
    )


def _marker(folder: Path) -> dict[str, Any]:
    return _read_json(folder / MARKER)


def _read_record(out: Path) -> dict[str, Any]:
    return _read_json(out / RECORD)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _move_aside(out: Path, name: str) -> None:
    ours = [path for _, path in _checkpoints(out)]
    if (out / RECORD).exists():
        ours.append(out / RECORD)
    if not ours:
        return
    aside = out / f"replaced-{name}"
    number = 1
    while aside.exists():
        number += 1
        aside = out / f"replaced-{name}-{number}"
    aside.mkdir()
    # The record goes last: a kill in between leaves its digest here, and the next start moves the rest.
    for path in ours:
        path.rename(aside / path.name)


def _write_json(path: Path, value: object) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(value, indent=1), encoding="utf-8")
    _sync(draft)
    draft.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
