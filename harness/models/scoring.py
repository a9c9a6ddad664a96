"""Log-likelihoods in plain length-sorted batches: left-padded rows, the output head only at the answer's end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.models.architecture import Architecture
from harness.models.memory import halving
from harness.models.virtual import begin, virtual_tokens, without_virtual
from harness.records import LogLikelihood


@dataclass(frozen=True)
class EncodedPair:
    """Tokens of a prompt and of the continuation to be scored; none of either where there is a `failure`."""

    prompt: tuple[int, ...]
    continuation: tuple[int, ...]
    failure: str | None = None
    """Why the pair cannot be scored."""

    def __len__(self) -> int:
        return len(self.prompt) + len(self.continuation)


@dataclass(frozen=True)
class Scorer:
    """Scores one batch at a time on a transformers or peft decoder."""

    model: Any
    pad: int
    architecture: Architecture
    device: str

    def run(self, pairs: Sequence[EncodedPair]) -> list[LogLikelihood]:
        """Summed log-probability (natural log, float32 softmax) of each continuation, and its greedy flag.

        A continuation without tokens has probability 1. Numbers that are not finite are returned as they are,
        never as greedy. A batch that does not fit into memory is cut in two and tried again.
        """
        asked = [pair for pair in pairs if pair.continuation]
        # as in generation: no padding between virtual tokens and a prompt where it would be felt
        alone = virtual_tokens(self.model) > 0 and not self.architecture.full
        with torch.inference_mode():
            parts = [[pair] for pair in asked] if alone else [asked]
            found = iter([value for part in parts for value in halving(self._run, part)])
        empty = LogLikelihood(0.0, greedy=True, tokens=0)
        return [next(found) if pair.continuation else empty for pair in pairs]

    def _run(self, pairs: Sequence[EncodedPair]) -> list[LogLikelihood]:
        if not pairs:
            return []
        # The last token predicts nothing that is asked for, so it is left out.
        rows = [[*pair.prompt, *pair.continuation][:-1] for pair in pairs]
        width = max(len(row) for row in rows)
        padded = [[self.pad] * (width - len(row)) + row for row in rows]
        start = virtual_tokens(self.model)
        filled = [[1] * start + [0] * (width - len(row)) + [1] * len(row) for row in rows]
        mask = torch.tensor(filled, dtype=torch.long, device=self.device)
        logits = without_virtual(self.model)(
            input_ids=torch.tensor(padded, device=self.device),
            attention_mask=mask,
            **self._remembered(len(rows), width),
            **self.architecture.accepted(
                position_ids=(mask.cumsum(dim=1) - 1).clamp_min(0)[:, start:],
                logits_to_keep=max(len(pair.continuation) for pair in pairs),
            ),
        ).logits
        return [self._read(logits[slot], pair) for slot, pair in enumerate(pairs)]

    def _remembered(self, rows: int, width: int) -> dict[str, Any]:
        """What a pass is told of the tokens before: the virtual ones where there are any."""
        start = virtual_tokens(self.model)
        if not start:
            return {"use_cache": False}
        cache = self.architecture.cache(start + width)
        begin(self.model, cache, self.device)
        if rows > 1:
            cache.batch_repeat_interleave(rows)
        return {"past_key_values": cache, "use_cache": True}

    def _read(self, logits: torch.Tensor, pair: EncodedPair) -> LogLikelihood:
        count = len(pair.continuation)
        own = logits[-count:].float()
        wanted = torch.tensor(pair.continuation, device=self.device)
        value = float(torch.log_softmax(own, dim=-1).gather(1, wanted[:, None]).sum())
        greedy = math.isfinite(value) and bool((own.argmax(dim=-1) == wanted).all())
        return LogLikelihood(value, greedy=greedy, tokens=count)
