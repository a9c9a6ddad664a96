"""Prompts longer than the model takes lose their beginning, as in lm-eval; here it is counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.benchmarks.requests import Planned

_KEYS = ("max_position_embeddings", "n_positions", "max_sequence_length")


def longest_of(model: Any) -> int | None:
    """Most tokens a model on disk was built for, by its config.json; None where that is not known.

    The virtual tokens of a prompt-tuned or prefix-tuned model take their room from it.
    """
    folder = getattr(model, "folder", None)
    if folder is None:
        return None
    config = _read(Path(folder) / "config.json")
    adapter = getattr(model, "adapter", None)
    virtual = _read(Path(adapter) / "adapter_config.json").get("num_virtual_tokens") if adapter else None
    for part in (config, config.get("text_config") or {}):
        for key in _KEYS:
            if isinstance(part.get(key), int):
                return max(1, int(part[key]) - int(virtual or 0))
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def tokens_cut(model: Any, planned: Sequence[Planned]) -> list[int]:
    """For each sample, how many tokens at its prompt's beginning the model has no room for; of its worst choice.

    Only texts with more characters than the model takes tokens are put into tokens: a token is at least one byte.
    """
    longest, tokenizer = longest_of(model), getattr(model, "tokenizer", None)
    if longest is None or tokenizer is None:
        return [0] * len(planned)
    return [max((_cut(tokenizer, longest, r) for r in s.instances), default=0) for s in planned]


def _cut(tokenizer: Any, longest: int, request: Any) -> int:
    if request.request_type != "loglikelihood":
        return 0  # a generation says it itself; a whole text is scored in windows
    text = "".join(map(str, request.args[:2]))
    if len(text.encode()) <= longest:
        return 0
    # The last token is only predicted, so that one more fits.
    return max(0, len(tokenizer.encode(text)) - longest - 1)
