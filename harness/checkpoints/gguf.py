"""Turns a GGUF file into a folder of bfloat16 safetensors that every part of the harness can load."""

from __future__ import annotations

import io
import struct
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from harness.exceptions import FileProblem
from harness.models.reason import first_line

FORMAT = "bfloat16 safetensors, version 1"
"""Changes when conversion gives other files, so that cached folders are made anew."""
_MAGIC = b"GGUF"
_UNREADABLE = (
    *(OSError, ValueError, LookupError, RuntimeError, TypeError, AttributeError),
    *(MemoryError, ArithmeticError, struct.error),
)
"""What gguf, numpy and transformers raise on a damaged file, on wrong types and absurd sizes in it too."""


def check_gguf(path: Path) -> None:
    """Refuse what is not a GGUF file before anything is loaded."""
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start != _MAGIC:
        raise FileProblem(path, f"this is not a GGUF file: it begins with {start!r}, not {_MAGIC!r}.")


def convert_gguf(path: Path, folder: Path) -> Path:
    """Dequantise a GGUF file with transformers and save weights, config and tokenizer into `folder`.

    `save_pretrained` refuses a model loaded from GGUF, so its state is copied into a fresh model.
    """
    check_gguf(path)
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from harness.models.weights import quiet_transformers

    # the reader draws a bar that transformers' own switch does not reach
    with quiet_transformers(), redirect_stderr(io.StringIO()):
        try:
            loaded = AutoModelForCausalLM.from_pretrained(
                path.parent, gguf_file=path.name, dtype=torch.float32
            )
            tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        except _UNREADABLE as problem:
            raise FileProblem(path, f"this GGUF file cannot be read ({first_line(problem)}).") from problem
        settings: dict[str, Any] = loaded.config.to_dict()
        for key in ("quantization_config", "_name_or_path", "gguf_file"):
            settings.pop(key, None)
        config = AutoConfig.for_model(**settings)
        fresh = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        fresh.load_state_dict(
            {name: tensor.to(torch.bfloat16) for name, tensor in loaded.state_dict().items()}
        )
        fresh.tie_weights()
        fresh.generation_config = loaded.generation_config
        fresh.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder
