"""Tasks and models run through lm-eval. Importing this adds the model kind `lm_eval`.

`bench` and `HarnessLM` load lm_eval when they are first named, nothing else here does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.benchmarks.lm_eval_model import PREFIX, LmEvalModel
from harness.benchmarks.settings import BenchSettings
from harness.exceptions import MissingExtra
from harness.models import MODELS

if TYPE_CHECKING:
    from harness.benchmarks.lm import HarnessLM
    from harness.benchmarks.run import bench

MODELS.add(PREFIX, LmEvalModel)

__all__ = ["BenchSettings", "HarnessLM", "LmEvalModel", "bench"]

_LATE = {"HarnessLM": "lm", "bench": "run"}


def __getattr__(name: str) -> Any:
    """Load what needs lm_eval; MissingExtra where it is not installed."""
    from importlib import import_module

    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_LATE[name]}"), name)
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] != "lm_eval":
            raise
        raise MissingExtra("Running benchmarks", "lm_eval", "lm-eval") from problem
