"""The process's random generators, put back as they were: a benchmark inside a training must not change it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(python: int = 0, other: int = 1234) -> Iterator[None]:
    """Seed Python, numpy and torch as `lm_eval.simple_evaluate` does, and restore their state afterwards."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - what tasks use
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    random.seed(python)
    np.random.seed(other)  # noqa: NPY002
    torch.manual_seed(other)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
        if devices:
            torch.cuda.set_rng_state_all(devices)
