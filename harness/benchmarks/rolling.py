"""Log-likelihoods of whole texts, for perplexity, kept in the store like any other response."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.exceptions import InputError, StageFailed
from harness.models.base import Model
from harness.models.digest import digest
from harness.progress import Progress, silent
from harness.records import LogLikelihood
from harness.store.base import Storage, Table

_STAGE = "Scoring"


@dataclass(frozen=True, slots=True)
class Rolled:
    """Summed log-likelihoods in natural logs, in the order of the texts, and what they cost."""

    values: tuple[float, ...]
    computed: int
    model_seconds: float


def roll(model: Model, texts: Sequence[str], store: Storage, progress: Progress = silent) -> Rolled:
    """Score every whole text through the model's `rolling`, each distinct one once, from the store where it can.

    InputError for a model without that method.
    """
    rolling: Any = getattr(model, "rolling", None)
    if rolling is None:
        raise InputError(f"The model {model.name!r} cannot score whole texts, which perplexity tasks need.")
    unique = list(dict.fromkeys(texts))
    keys = [digest(["rolling", model.fingerprint, text]) for text in unique]
    stored = store.get_many(Table.RESPONSES, keys)
    found = {place: float(stored[key]["value"]) for place, key in enumerate(keys) if key in stored}
    missing = len(unique) - len(found)
    progress(_STAGE, len(found), len(unique))
    started = time.perf_counter()
    writing = 0.0
    if missing:
        for places, values in rolling(unique, set(found)):
            begun = time.perf_counter()
            batch = {place: _number(value) for place, value in zip(places, values, strict=True)}
            store.put_many(Table.RESPONSES, {keys[place]: {"value": value} for place, value in batch.items()})
            found.update(batch)
            progress(_STAGE, len(found), len(unique))
            writing += time.perf_counter() - begun
    seconds = time.perf_counter() - started - writing
    if len(found) < len(unique):
        left = f"the model gave no answer to {len(unique) - len(found)} of {len(unique)} texts."
        raise StageFailed(_STAGE, left, "Run the same command again.")
    by_text = {text: found[place] for place, text in enumerate(unique)}
    return Rolled(tuple(by_text[text] for text in texts), missing, seconds if missing else 0.0)


def _number(value: float | LogLikelihood) -> float:
    return value.value if isinstance(value, LogLikelihood) else float(value)
