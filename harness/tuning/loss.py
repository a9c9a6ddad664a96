"""The loss on the answer, with the output head run only where an answer token is predicted.

The head is a large share of a small model (28 of SmolLM2's 135 M parameters, 49,152 logits a position), and
in question answering half of all positions belong to the prompt. The sum is that of transformers'
`ForCausalLMLoss`, which computes every position and ignores the masked ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from harness.tuning.encoding import IGNORED

PLAIN = frozenset({"llama", "mistral", "qwen2", "qwen3"})
"""Architectures whose logits are the head's output as it is, without scaling or capping."""
_CHUNK = 64


def answer_loss(
    model: torch.nn.Module, head: torch.nn.Module, batch: Mapping[str, Tensor], *, plain: bool
) -> tuple[Tensor, int]:
    """Return (summed negative log-likelihood of the answer tokens in nats, how many they are).

    batch: input_ids, attention_mask and labels of shape (rows, length), padded at the end; labels are token
    ids where the loss counts, else -100. head: the model's output layer (`get_output_embeddings`). plain:
    the model's architecture is in `PLAIN`.
    """
    labels = batch["labels"][:, 1:]
    answers = labels != IGNORED
    wanted = labels[answers]
    where = pad(answers, (0, 1), value=False)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    if plain and _is_frozen_linear(head):
        with _replaced(head, lambda hidden: hidden[where].unsqueeze(0)):
            hidden = model(**inputs, use_cache=False).logits.squeeze(0)
        hidden = hidden.to(head.weight.dtype)
        total: Tensor = _FrozenHeadLoss.apply(hidden, head.weight, wanted)  # type: ignore[no-untyped-call]
        return total, int(wanted.numel())
    with _only_at(head, where):
        logits = model(**inputs, use_cache=False).logits.squeeze(0)
    return cross_entropy(logits.float(), wanted, reduction="sum"), int(wanted.numel())


class _FrozenHeadLoss(torch.autograd.Function):
    """Summed cross-entropy of hidden @ weight', a few rows at a time, the gradient made on the way forward.

    hidden (n, size), weight (vocabulary, size), wanted (n,). Chunks stay in the processor's cache, and no
    logits are kept (as in Liger's fused linear cross-entropy, arXiv:2410.10989).
    """

    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> Tensor:
        hidden, weight, wanted = arguments
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        total = hidden.new_zeros((), dtype=torch.float32)
        for start in range(0, len(hidden), _CHUNK):
            part = slice(start, start + _CHUNK)
            logits = (hidden[part] @ weight.t()).float()
            target = wanted[part].unsqueeze(1)
            logits -= logits.amax(1, keepdim=True)
            chosen = logits.gather(1, target)
            mass = logits.exp_().sum(1, keepdim=True)
            total += (mass.log() - chosen).sum()
            if gradient is not None:
                shares = logits.div_(mass).scatter_add_(1, target, torch.full_like(chosen, -1.0))
                gradient[part] = shares.to(weight.dtype) @ weight
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0].to(gradient.dtype), None, None


def _is_frozen_linear(head: torch.nn.Module) -> bool:
    return type(head) is torch.nn.Linear and head.bias is None and not head.weight.requires_grad


@contextmanager
def _replaced(head: torch.nn.Module, forward: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Let another function answer for the head."""
    own = head.__dict__.get("forward")
    head.__dict__["forward"] = forward
    try:
        yield
    finally:
        if own is None:
            del head.__dict__["forward"]
        else:
            head.__dict__["forward"] = own


@contextmanager
def _only_at(head: torch.nn.Module, where: Tensor) -> Iterator[None]:
    """Let the head see one row that holds just the marked positions.

    A hook before the head keeps what a model does after it (scaling, soft-capping), whatever its
    architecture.
    """
    handle = head.register_forward_pre_hook(lambda _, args: (args[0][where].unsqueeze(0), *args[1:]))
    try:
        yield
    finally:
        handle.remove()
