"""Whether a loaded model can be scored on the prefix tree: tried once on made-up tokens against the plain path."""

from __future__ import annotations

import math
from typing import Any

import torch

from harness.models.tree import Request, plan_rows, plan_tree
from harness.models.tree_scoring import Prefix, TreeScorer

_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
"""Nats a token, the largest over all requests."""
_ROUGH = 0.15
"""The same in half precision: rounding made 0.06 on a real model, a sibling that is seen 0.2 to 0.5."""
_CANNOT = (NotImplementedError, AttributeError, TypeError, KeyError, IndexError, ValueError, RuntimeError)
"""What architectures raise that know neither the attention nor the call."""


def fits_tree(model: Any, pad: int, device: str) -> bool:
    """Compare tree and plain forward passes of a transformers or peft model on a few requests.

    The requests have a shared prefix, trunks of different length, branches of branches, and one stands alone.
    """
    requests = _requests(int(model.config.get_text_config(decoder=True).vocab_size))
    try:
        scorer = TreeScorer.of(model, pad, device)
        found = _by_tree(scorer, requests)
    except _CANNOT:
        return False
    limit = _TOLERANCE.get(scorer.body.dtype, _ROUGH)
    for request, value in zip(requests, found, strict=True):
        plain = _plain(model, request, device)
        if math.isnan(value) and not math.isfinite(plain):
            continue  # a diverged model is broken on either path
        # `not <=`, so that NaN on one side does not pass
        if not abs(value - plain) <= limit * len(request.continuation):
            return False
    return True


def _requests(vocabulary: int) -> list[Request]:
    """Tokens without meaning, the same each time; no special ones, which come first in most vocabularies."""
    low, span = min(100, vocabulary // 4), max(1, vocabulary // 2)

    def made(start: int, count: int) -> tuple[int, ...]:
        return tuple(low + (start * 7919 + i * 104729) % span for i in range(count))

    shared = made(1, 24)
    requests = []
    for question in range(3):
        prompt = (*shared, *made(10 + question, 18 + 5 * question))
        stem = made(20 + question, 2)
        requests += [Request(prompt, (*stem, *made(30 + 3 * question + i, 4 + i))) for i in range(3)]
    return [*requests, Request(made(50, 9), made(51, 5))]


def _by_tree(scorer: TreeScorer, requests: list[Request]) -> list[float]:
    prefixes: list[Prefix | None] = []
    found: dict[int, float] = {}
    for group in plan_tree(requests):
        parent = scorer.root if group.parent is None else prefixes[group.parent]
        prefixes.append(scorer.prefix(group.tokens, parent) if group.tokens else parent)
        for batch in plan_rows(group.units, 1024):
            for place, value in scorer.run([group.units[i] for i in batch], prefixes[-1]):
                found[place] = value.value
    return [found[i] for i in range(len(requests))]


def _plain(model: Any, request: Request, device: str) -> float:
    """The request alone, through the model's own forward pass."""
    count = len(request.continuation)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([request.run], device=device)).logits[0, -count:].float()
    wanted = torch.tensor(request.continuation, device=device)
    return float(torch.log_softmax(logits, -1).gather(1, wanted[:, None]).sum())
