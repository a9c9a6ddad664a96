"""Log-likelihoods on the prefix tree: the transformer body once for each distinct prefix, the head where it counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from harness.models.memory import halving
from harness.models.tree import Place, Tokens, Unit
from harness.models.tree_attention import KeysValues, TreeRows, laid_out, register
from harness.records import LogLikelihood

_HEAD_ROWS = {torch.float32: 128}
_HALF_ROWS = 64
"""Positions that go through the output head at once: a vocabulary of 50,000 in float32 is 13 to 26 MB."""


@dataclass(frozen=True)
class Prefix:
    """Tokens that have been run: how many, and their keys and values of each layer."""

    length: int
    layers: KeysValues


@dataclass(frozen=True)
class TreeScorer:
    """Scores the units of one prefix tree on a transformers decoder."""

    body: Any
    """The decoder without its head."""
    head: Any
    """From hidden states to logits."""
    pad: int
    device: str
    root: Prefix | None = None
    """Virtual tokens of a prompt-tuned or prefix-tuned model, which stand before everything."""

    @classmethod
    def of(cls, model: Any, pad: int, device: str) -> TreeScorer:
        """Take body and head out of a transformers or peft model."""
        plain = model.get_base_model() if hasattr(model, "get_base_model") else model
        scorer = cls(plain.get_decoder(), plain.get_output_embeddings(), pad, device)
        if not getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False):
            return scorer
        with torch.inference_mode():
            return replace(scorer, root=scorer._virtual(model))

    def _virtual(self, model: Any) -> Prefix:
        """Run or read the virtual tokens of a peft model: embeddings, or keys and values of every layer."""
        given = model.get_prompt(batch_size=1)
        if not isinstance(given, Tensor):
            layers = [(layer.keys, layer.values) for layer in given.layers]
            return Prefix(layers[0][0].shape[2], layers)
        kept: KeysValues = []
        count = given.shape[1]
        with _attention_of(self.body), laid_out(replace(_one_row(count, self.device), kept=kept)):
            self.body(
                inputs_embeds=given.to(self.body.dtype),
                position_ids=torch.arange(count, device=self.device)[None],
                attention_mask=None,
                use_cache=False,
            )
        return Prefix(count, kept)

    def prefix(self, tokens: Tokens, parent: Prefix | None) -> Prefix:
        """Run `tokens` after `parent`; both together are the new prefix."""
        kept: KeysValues = []
        start = parent.length if parent else 0
        rows = _one_row(len(tokens), self.device)
        rows.prefix, rows.kept = parent.layers if parent else None, kept
        with torch.inference_mode():
            self._run(list(tokens), list(range(start, start + len(tokens))), rows)
        if parent is not None:
            kept = [
                (torch.cat([k0, k1], 2), torch.cat([v0, v1], 2))
                for (k0, v0), (k1, v1) in zip(parent.layers, kept, strict=True)
            ]
        return Prefix(start + len(tokens), kept)

    def run(self, units: Sequence[Unit], prefix: Prefix | None) -> list[tuple[int, LogLikelihood]]:
        """(index of the request, its log-likelihood) for every place of the units, in one batch.

        A batch that does not fit into memory is cut in two and tried again.
        """
        with torch.inference_mode():
            return [
                pair for found in halving(lambda part: self._batch(part, prefix), units) for pair in found
            ]

    def _batch(self, units: Sequence[Unit], prefix: Prefix | None) -> list[list[tuple[int, LogLikelihood]]]:
        rows = lay_out(units, self.device)
        start = prefix.length if prefix else 0
        rows.prefix = prefix.layers if prefix else None
        tokens = [token for unit in units for token in (*unit.trunk, *unit.branches)]
        positions = [start + depth for unit in units for depth in unit.depths]
        return self._scores(self._run(tokens, positions, rows), units)

    def _run(self, tokens: list[int], positions: list[int], rows: TreeRows) -> Tensor:
        """Hidden states after the last layer, (tokens, width)."""
        with _attention_of(self.body), laid_out(rows):
            found: Tensor = self.body(
                input_ids=torch.tensor([tokens], device=self.device),
                position_ids=torch.tensor([positions], device=self.device),
                attention_mask=None,
                use_cache=False,
            ).last_hidden_state
        return found[0]

    def _scores(self, hidden: Tensor, units: Sequence[Unit]) -> list[list[tuple[int, LogLikelihood]]]:
        """Head and softmax at every position that predicts something, each once."""
        slots: dict[int, int] = {}
        wanted: list[tuple[int, int]] = []  # (slot, token)
        first = 0
        for unit in units:
            for place in unit.places:
                for position, token in zip(place.positions, place.continuation, strict=True):
                    wanted.append((slots.setdefault(first + position, len(slots)), token))
            first += len(unit)
        states = hidden[torch.tensor(list(slots), device=hidden.device)]
        tokens: list[list[tuple[int, int]]] = [[] for _ in slots]
        for number, (slot, token) in enumerate(wanted):
            tokens[slot].append((number, token))
        values, greedy = [0.0] * len(wanted), [False] * len(wanted)
        step = _HEAD_ROWS.get(states.dtype, _HALF_ROWS)
        for first in range(0, len(slots), step):
            logits = self.head(states[first : first + step]).float()
            asked = [
                (slot, *pair) for slot in range(first, min(first + step, len(slots))) for pair in tokens[slot]
            ]
            at = torch.tensor([slot - first for slot, _, _ in asked], device=hidden.device)
            which = torch.tensor([token for _, _, token in asked], device=hidden.device)
            picked = logits[at, which]
            highest = logits.max(-1)
            # the sum of exponentials in place: `logsumexp` would write the whole vocabulary anew
            total = logits.sub_(highest.values[:, None]).exp_().sum(-1).log_()
            best = highest.indices.tolist()
            found = (picked - highest.values[at] - total[at]).tolist()
            for (slot, number, token), value in zip(asked, found, strict=True):
                values[number], greedy[number] = value, best[slot - first] == token
        return _summed(units, values, greedy)


def _summed(
    units: Sequence[Unit], values: Sequence[float], greedy: Sequence[bool]
) -> list[list[tuple[int, LogLikelihood]]]:
    """Add up the tokens of each request, which stand in a row."""
    found: list[list[tuple[int, LogLikelihood]]] = []
    start = 0
    for unit in units:
        found.append([])
        for place in unit.places:
            end = start + len(place.continuation)
            found[-1].append((place.request, _loglikelihood(place, values[start:end], greedy[start:end])))
            start = end
    return found


def _loglikelihood(place: Place, values: Sequence[float], greedy: Sequence[bool]) -> LogLikelihood:
    value = sum(values) if all(map(math.isfinite, values)) else float("nan")
    return LogLikelihood(value, greedy=math.isfinite(value) and all(greedy), tokens=len(place.continuation))


def _one_row(tokens: int, device: str) -> TreeRows:
    """A trunk alone."""
    places = torch.arange(tokens, device=device)
    return TreeRows(places[None], places, tokens)


def lay_out(units: Sequence[Unit], device: str) -> TreeRows:
    """Put every unit into a row of its own: trunks side by side, then branches."""
    trunk = max(len(unit.trunk) for unit in units)
    branch = max(len(unit.branches) for unit in units)
    slots = torch.zeros(len(units), trunk + branch, dtype=torch.long)
    places = []
    first = 0
    for row, unit in enumerate(units):
        middle, end = first + len(unit.trunk), first + len(unit)
        slots[row, : len(unit.trunk)] = torch.arange(first, middle)
        slots[row, trunk : trunk + len(unit.branches)] = torch.arange(middle, end)
        places += [row * (trunk + branch) + column for column in range(len(unit.trunk))]
        places += [row * (trunk + branch) + trunk + column for column in range(len(unit.branches))]
        first = end
    seen = _seen(units, trunk, branch).to(device) if branch else None
    return TreeRows(slots.to(device), torch.tensor(places, device=device), trunk, seen)


def _seen(units: Sequence[Unit], trunk: int, branch: int) -> Tensor:
    """Which trunk and branch columns each branch column sees, bool (rows, 1, branch, trunk + branch)."""
    seen = torch.zeros(len(units), branch, trunk + branch, dtype=torch.bool)
    for row, unit in enumerate(units):
        # padding sees the first column only, since a softmax over nothing is not a number
        seen[row, len(unit.branches) :, 0] = True
        seen[row, : len(unit.branches), : len(unit.trunk)] = True
        for column, parent in enumerate(unit.parents):
            if parent >= 0:
                seen[row, column, trunk:] = seen[row, parent, trunk:]
            seen[row, column, trunk + column] = True
    return seen[:, None]


@contextmanager
def _attention_of(body: Any) -> Iterator[None]:
    """Let the body use the tree's attention for a while."""
    config = body.config
    name = config._attn_implementation  # noqa: SLF001 - the public setter looks up kernels each time
    config._attn_implementation = register()  # noqa: SLF001
    try:
        yield
    finally:
        config._attn_implementation = name  # noqa: SLF001
