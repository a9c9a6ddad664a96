"""Compiles each template of lm-eval once: it compiles them anew for every few-shot example of every sample."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from lm_eval.utils import env


@contextmanager
def compiled_once(size: int = 1024) -> Iterator[None]:
    """Keep the last `size` compiled templates while this is open; what they give is the same."""
    own = env.__dict__.get("from_string")
    env.from_string = lru_cache(maxsize=size)(env.from_string)
    try:
        yield
    finally:
        if own is None:
            del env.from_string
        else:
            env.from_string = own
