"""In which order samples are trained on: a pure function of lengths, seed and epoch.

A resumed run therefore repeats it. Batches hold samples of like length, which keeps padding small (as
transformers' `LengthGroupedSampler` does, but with the incomplete batch last, so that batches stay as
planned).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

GROUP = 50
"""Batches whose samples are sorted by length together; between groups the order is random."""


def epoch_order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[int]:
    """Order the samples of one epoch, to be cut into batches of `batch_size` from the front.

    lengths: tokens of each sample. Every index occurs once; the remainder that does not fill a batch is
    drawn at random and stands at the end.
    """
    random = Random(f"{seed}/{epoch}")  # noqa: S311 - a repeatable order, nothing secret
    order = list(range(len(lengths)))
    random.shuffle(order)
    whole = len(order) - len(order) % batch_size
    batches: list[list[int]] = []
    for start in range(0, whole, GROUP * batch_size):
        group = sorted(
            order[start : min(start + GROUP * batch_size, whole)], key=lambda index: lengths[index]
        )
        batches += [group[at : at + batch_size] for at in range(0, len(group), batch_size)]
    random.shuffle(batches)
    return [index for batch in batches for index in batch] + order[whole:]


def steps_per_epoch(samples: int, batch_size: int, accumulation: int) -> int:
    """Count the optimiser steps of one pass over the samples."""
    return math.ceil(math.ceil(samples / batch_size) / accumulation)


def log_interval(save_every: int, steps: int) -> int:
    """Choose the steps between two points of the curve: 5 or fewer, or 1 % of a long training.

    Only a divisor gives a resumed run the same points: transformers averages the loss since the last point,
    and a save in between would lose the sum.
    """
    most = max(5, steps // 100)
    return max(size for size in range(1, min(most, save_every) + 1) if save_every % size == 0)
