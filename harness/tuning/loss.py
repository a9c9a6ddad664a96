"""The loss on the answer, with the output head run only where an answer token is predicted.

The head is a large share of a small model (28 of SmolLM2's 135 M parameters, 49,152 logits a position), and in
question answering half of all positions belong to the prompt. The sum is the same as that of transformers'
`ForCausalLMLoss`, which computes every position and ignores the masked ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from harness.tuning.encoding import IGNORED


def answer_loss(
    model: torch.nn.Module, head: torch.nn.Module, batch: Mapping[str, Tensor]
) -> tuple[Tensor, int]:
    """(summed negative log-likelihood of the answer tokens in nats, how many they are).

    batch: input_ids, attention_mask and labels of shape (rows, length), padded at the end; labels are token ids
    where the loss counts, else -100. head: the model's output layer (`get_output_embeddings`).
    """
    labels = batch["labels"][:, 1:]
    answers = labels != IGNORED
    with _only_at(head, pad(answers, (0, 1), value=False)):
        output: Any = model(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False
        )
    logits = output.logits.squeeze(0).float()
    wanted = labels[answers]
    return cross_entropy(logits, wanted, reduction="sum"), int(wanted.numel())


@contextmanager
def _only_at(head: torch.nn.Module, where: Tensor) -> Iterator[None]:
    """Let the head see one row that holds just the marked positions.

    A hook before the head keeps what a model does after it (scaling, soft-capping), whatever its architecture.
    """
    handle = head.register_forward_pre_hook(lambda _, args: (args[0][where].unsqueeze(0), *args[1:]))
    try:
        yield
    finally:
        handle.remove()
