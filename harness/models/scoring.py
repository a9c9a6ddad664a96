"""Log-likelihoods in plain length-sorted batches: left-padded rows, the output head only at the answer's end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.records import LogLikelihood


@dataclass(frozen=True)
class EncodedPair:
    """Tokens of a prompt and of the continuation to be scored."""

    prompt: tuple[int, ...]
    continuation: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.prompt) + len(self.continuation)


@dataclass(frozen=True)
class Scorer:
    """Scores one batch at a time on a transformers decoder."""

    model: Any
    pad: int
    device: str

    def run(self, pairs: Sequence[EncodedPair]) -> list[LogLikelihood]:
        """Summed log-probability (natural log, float32 softmax) of each continuation, and its greedy flag."""
        width = max(len(pair) for pair in pairs)
        scored = max(len(pair.continuation) for pair in pairs)
        rows = [[self.pad] * (width - len(pair)) + [*pair.prompt, *pair.continuation] for pair in pairs]
        filled = [[0] * (width - len(pair)) + [1] * len(pair) for pair in pairs]
        tokens = torch.tensor(rows, device=self.device)
        mask = torch.tensor(filled, dtype=torch.long, device=self.device)
        with torch.inference_mode():
            logits = self.model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=(mask.cumsum(dim=1) - 1).clamp_min(0),
                use_cache=False,
                logits_to_keep=scored + 1,
            ).logits[:, :-1]
        return [self._read(logits[slot], pair) for slot, pair in enumerate(pairs)]

    def _read(self, logits: torch.Tensor, pair: EncodedPair) -> LogLikelihood:
        count = len(pair.continuation)
        if count == 0:
            return LogLikelihood(0.0, greedy=True, tokens=0)
        own = logits[-count:].float()
        wanted = torch.tensor(pair.continuation, device=self.device)
        logs = torch.log_softmax(own, dim=-1).gather(1, wanted[:, None])[:, 0]
        greedy = bool((own.argmax(dim=-1) == wanted).all())
        return LogLikelihood(float(logs.sum()), greedy=greedy, tokens=count)
