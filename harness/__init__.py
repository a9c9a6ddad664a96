"""Did this fine-tuning help, where, at what price, and is the difference real.

The functions of `harness.api` are loaded at first use, so that `import harness` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import (
        Compared,
        HarnessError,
        InputError,
        Message,
        Model,
        Sample,
        Score,
        Verdict,
        bench,
        compare,
        evaluate,
        finetune,
        load_model,
        metric,
        prepare,
        run,
    )

__all__ = [
    "Compared",
    "HarnessError",
    "InputError",
    "Message",
    "Model",
    "Sample",
    "Score",
    "Verdict",
    "bench",
    "compare",
    "evaluate",
    "finetune",
    "load_model",
    "metric",
    "prepare",
    "run",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from harness import api

        return getattr(api, name)
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
