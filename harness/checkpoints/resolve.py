"""From what the user typed to a folder of weights: alias, local folder, adapter folder, .gguf file, hub id."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from harness.checkpoints.aliases import HUBS, WHEELS, alias_names
from harness.checkpoints.gguf import FORMAT, check_gguf, convert_gguf
from harness.checkpoints.wheel import ORIGIN, cache_folder, wheel_model
from harness.exceptions import FileProblem, InputError, UnknownName
from harness.models.files import file_digest, weight_files
from harness.progress import Progress, silent

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
            return Resolved(_from_hub(hub.hub_id))
    path = Path(name).expanduser()
    if path.is_file():
        return Resolved(_from_gguf(path))
    if path.is_dir():
        return _from_folder(path.resolve(), allow_pickle=allow_pickle, progress=progress)
    if _HUB_ID.fullmatch(name) and not name.startswith((".", "/", "~")) and path.suffix != ".gguf":
        return Resolved(_from_hub(name))
    if path.suffix == ".gguf" or "/" in name:
        raise FileProblem(path, "there is no such model file or folder.")
    raise UnknownName("model", name, [*alias_names()])


def _from_folder(path: Path, *, allow_pickle: bool, progress: Progress) -> Resolved:
    if (path / "adapter_config.json").is_file():
        return _from_adapter(path, allow_pickle=allow_pickle, progress=progress)
    if not (path / "config.json").is_file():
        inside = ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) or "nothing"
        raise FileProblem(path, f"this folder holds no model: config.json is missing (it holds {inside}).")
    if not weight_files(path):
        pickled = sorted(path.glob("*.bin"))
        if pickled and not allow_pickle:
            raise FileProblem(
                path,
                f"the weights are pickled ({pickled[0].name}); only safetensors are read unless --allow-pickle.",
            )
        if not pickled:
            raise FileProblem(path, "this folder holds no weights: no *.safetensors file was found.")
    return Resolved(path)


def _from_adapter(path: Path, *, allow_pickle: bool, progress: Progress) -> Resolved:
    if not weight_files(path):
        raise FileProblem(path, "this adapter has no weights: adapter_model.safetensors is missing.")
    try:
        config = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
        base = str(config["base_model_name_or_path"])
    except (ValueError, KeyError, TypeError) as problem:
        raise FileProblem(
            path / "adapter_config.json", "it does not name the adapter's base model."
        ) from problem
    found = resolve(base, allow_pickle=allow_pickle, progress=progress)
    return Resolved(found.folder, path)


def _from_gguf(path: Path) -> Path:
    """Convert a user's GGUF file once; the cache is keyed by its content."""
    check_gguf(path)
    digest = file_digest(path)
    folder = cache_folder() / "models" / f"gguf-{digest[:16]}"
    if not (folder / ORIGIN).is_file():
        convert_gguf(path, folder)
        (folder / ORIGIN).write_text(json.dumps({"gguf_sha256": digest, "format": FORMAT}), encoding="utf-8")
    return folder


def _from_hub(hub_id: str) -> Path:
    """Local snapshot of a hub model; asks the hub only for what is not cached."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]
    try:
        return Path(snapshot_download(hub_id, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise InputError(f"The model {hub_id!r} could not be fetched from the hub: {reason}") from problem
