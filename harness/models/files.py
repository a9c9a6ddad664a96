"""Digests of the files a checkpoint consists of. Standard library only, so that a stored run needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

_BLOCK = 1 << 22
Stamp = tuple[tuple[str, int, int, int], ...]
"""(name, bytes, time of change in ns, inode) of each file: tells cheaply that a file was replaced."""
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.json",
    "chat_template.jinja",
)
"""What decides how text becomes tokens, in one kind of tokenizer or another."""


def weight_files(folder: Path, *, pickled: bool = False) -> list[Path]:
    """The safetensors files of a folder, by name; where there are none and `pickled`, the pickled weights."""
    found = sorted(folder.glob("*.safetensors"))
    return found if found or not pickled else pickled_weights(folder)


def pickled_weights(folder: Path) -> list[Path]:
    """Weights in pickled files, by name: `pytorch_model*.bin` and an adapter's `adapter_model.bin`."""
    return sorted([*folder.glob("pytorch_model*.bin"), *folder.glob("adapter_model.bin")])


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def files_digest(paths: Iterable[Path]) -> str:
    """SHA-256 over names and contents of the files that exist; what is missing is part of the digest too."""
    digest = hashlib.sha256()
    for path in paths:
        state = file_digest(path) if path.is_file() else "missing"
        digest.update(f"{path.name}:{state}\n".encode())
    return digest.hexdigest()


def weights_stamp(folder: Path) -> Stamp:
    """The stamp of a folder's weight files and config, pickled ones included."""
    named = [*weight_files(folder), *pickled_weights(folder), *sorted(folder.glob("*config.json"))]
    states = [(path.name, path.stat()) for path in named]
    return tuple((name, state.st_size, state.st_mtime_ns, state.st_ino) for name, state in states)
