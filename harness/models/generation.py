"""Batched text generation on a transformers decoder.

One batch: the prefix shared by all rows is computed once and its cache copied, the rest is left-padded and
prefilled together, then one token a step for every row that is still writing. Rows end at an end-of-text token,
at one of their stop strings or at the token limit, and leave the batch so that later steps are cheaper.
A batch that does not fit into memory is cut in two and tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from harness.models.architecture import Architecture
from harness.models.base import Decoding
from harness.models.batches import common_prefix
from harness.models.memory import halving
from harness.models.virtual import begin, virtual_tokens, without_virtual
from harness.records import Finish, Generation

if TYPE_CHECKING:
    from transformers.cache_utils import Cache

_SHARED_MINIMUM = 8
"""A shared prefix shorter than this is not worth a forward pass of its own."""
_DROP_SHARE = 0.2
"""Finished rows are dropped once they are at least this share of the batch: dropping copies the cache."""


@dataclass
class _Row:
    """State of one prompt while its batch runs."""

    index: int
    tokens: list[int] = field(default_factory=list)
    finish: Finish | None = None
    text: str | None = None
    """Set where a stop string ended the row: the text before it."""


@dataclass(frozen=True)
class Generator:
    """Generates one batch at a time.

    model: a transformers or peft decoder in eval mode; decode: token ids to text (special tokens dropped);
    end_tokens: ids that end an answer; pad: any valid id; architecture: how the model is called.
    """

    model: Any
    decode: Callable[[Sequence[int]], str]
    end_tokens: frozenset[int]
    pad: int
    architecture: Architecture
    device: str

    def run(self, rows: Sequence[Sequence[int]], decoding: Decoding) -> list[Generation]:
        """One generation for each row of prompt tokens, in order; halves the batch when memory runs out."""
        # Padding between virtual tokens and a prompt is a gap, which windows and places in the row would feel.
        alone = virtual_tokens(self.model) > 0 and not self.architecture.full
        with torch.inference_mode():
            return [
                found
                for part in ([[row] for row in rows] if alone else [rows])
                for found in halving(lambda some: self._run(some, decoding), part)
            ]

    def _run(self, prompts: Sequence[Sequence[int]], decoding: Decoding) -> list[Generation]:
        rows = [_Row(index) for index in range(len(prompts))]
        sampler = _Sampler(decoding, prompts, self.device)
        logits, cache, mask = self._prefill(prompts, decoding.max_new_tokens)
        positions = mask.sum(dim=1)
        active = rows
        for step in range(decoding.max_new_tokens):
            self._choose(logits, active, sampler, decoding, last=step + 1 == decoding.max_new_tokens)
            writing = [slot for slot, row in enumerate(active) if row.finish is None]
            if not writing:
                break
            if len(active) - len(writing) >= max(1, _DROP_SHARE * len(active)):
                keep = torch.tensor(writing, device=self.device)
                cache.batch_select_indices(keep)
                mask, positions = mask[keep], positions[keep]
                active = [active[slot] for slot in writing]
            last = [[row.tokens[-1] if row.finish is None else self.pad] for row in active]
            mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)
            logits = self._forward(torch.tensor(last, device=self.device), cache, mask, positions[:, None])
            positions = positions + 1
        return [self._finished(row) for row in rows]

    def _prefill(
        self, prompts: Sequence[Sequence[int]], new_tokens: int
    ) -> tuple[torch.Tensor, Cache, torch.Tensor]:
        """Run the prompts; returns the last logits (rows, vocabulary), the cache and the mask (rows, tokens)."""
        shared = common_prefix(prompts) if len(prompts) > 1 and self.architecture.full else 0
        shared = shared if shared >= _SHARED_MINIMUM else 0
        width = max(len(prompt) for prompt in prompts) - shared
        cache = self.architecture.cache(virtual_tokens(self.model) + shared + width + new_tokens)
        start = begin(self.model, cache, self.device)
        if shared:
            prefix = torch.tensor([list(prompts[0][:shared])], device=self.device)
            ones = torch.ones(1, start + shared, dtype=torch.long, device=self.device)
            self._forward(prefix, cache, ones, torch.arange(start, start + shared, device=self.device)[None])
        start += shared
        if start and len(prompts) > 1:
            cache.batch_repeat_interleave(len(prompts))
        own = [list(prompt[shared:]) for prompt in prompts]
        padded = [[self.pad] * (width - len(row)) + row for row in own]
        filled = [[1] * start + [0] * (width - len(row)) + [1] * len(row) for row in own]
        mask = torch.tensor(filled, dtype=torch.long, device=self.device)
        positions = (mask.cumsum(dim=1) - 1).clamp_min(0)[:, start:]
        logits = self._forward(torch.tensor(padded, device=self.device), cache, mask, positions)
        return logits, cache, mask

    def _forward(
        self, tokens: torch.Tensor, cache: Cache, mask: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        output = without_virtual(self.model)(
            input_ids=tokens,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            **self.architecture.accepted(position_ids=positions, logits_to_keep=1),
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _choose(
        self,
        logits: torch.Tensor,
        active: Sequence[_Row],
        sampler: _Sampler,
        decoding: Decoding,
        *,
        last: bool,
    ) -> None:
        """Append the next token to every writing row and end those that are done."""
        chosen, finite = sampler.next(logits, [row.index for row in active])
        for slot, row in enumerate(active):
            if row.finish is not None:
                continue
            if not finite[slot]:
                row.finish = Finish.NONFINITE
                continue
            token = chosen[slot]
            if token in self.end_tokens:
                row.finish = Finish.STOP
                continue
            row.tokens.append(token)
            if decoding.stop:
                self._cut_at_stop(row, decoding.stop)
            if last and row.finish is None:
                row.finish = Finish.LENGTH

    def _cut_at_stop(self, row: _Row, stops: Sequence[str]) -> None:
        text = self.decode(row.tokens)
        found = [at for at in (text.find(stop) for stop in stops) if at >= 0]
        if found:
            row.finish, row.text = Finish.STOP, text[: min(found)]

    def _finished(self, row: _Row) -> Generation:
        text = row.text if row.text is not None else self.decode(row.tokens)
        if row.finish is Finish.NONFINITE:
            return Generation(
                text, len(row.tokens), Finish.NONFINITE, "the model returned numbers that are not finite"
            )
        return Generation(text, len(row.tokens), row.finish or Finish.LENGTH)


class _Sampler:
    """Picks next tokens. Each row draws from its own generator, so its text does not depend on its batch."""

    def __init__(self, decoding: Decoding, prompts: Sequence[Sequence[int]], device: str) -> None:
        self._decoding = decoding
        self._generators: list[torch.Generator] = []
        if decoding.temperature > 0:
            for prompt in prompts:
                digest = hashlib.sha256(f"{decoding.seed}:{list(prompt)}".encode()).digest()
                generator = torch.Generator(device=device)
                generator.manual_seed(int.from_bytes(digest[:8], "big") >> 1)
                self._generators.append(generator)

    def next(self, logits: torch.Tensor, rows: Sequence[int]) -> tuple[list[int], list[bool]]:
        """Next token of each row of `logits` (rows, vocabulary), and whether its logits were finite."""
        finite = torch.isfinite(logits.amax(dim=-1)).tolist()
        if not self._generators:
            return logits.argmax(dim=-1).tolist(), finite
        chosen = []
        for slot, row in enumerate(rows):
            if not finite[slot]:
                chosen.append(0)
                continue
            probabilities = self._nucleus(
                torch.softmax(logits[slot].float() / self._decoding.temperature, dim=-1)
            )
            chosen.append(int(torch.multinomial(probabilities, 1, generator=self._generators[row])))
        return chosen, finite

    def _nucleus(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Zero all but the smallest set of tokens that holds `top_p` (Holtzman et al. 2020, arXiv 1904.09751)."""
        if self._decoding.top_p >= 1:
            return probabilities
        ordered, order = probabilities.sort(descending=True)
        outside = ordered.cumsum(dim=-1) - ordered >= self._decoding.top_p
        return probabilities.index_fill(0, order[outside], 0.0)
