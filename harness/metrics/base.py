"""The whole contract of a metric.

A metric is a frozen dataclass: its fields are its settings, a bad setting raises in `__post_init__`, and the
one required method scores one answer. Name plus non-default fields is its spec. It may fill several measures
(`rouge` gives rouge1, rouge2, rougeL, rougeLsum); `measures` describes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from harness.records import Sample, Score

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number a metric gives."""

    name: str
    """Key in scores and results: "rougeL"."""
    label: str
    """For tables: "ROUGE-L"."""
    low: float = 0.0
    high: float = 1.0
    higher_is_better: bool = True
    binary: bool = False
    """Every score is 0 or 1: the interval is Wilson's."""
    aggregate: Callable[[FloatArray], FloatArray] | None = None
    """None: the aggregate is the mean of the values. Otherwise the function from summed sufficient statistics,
    shape (..., k), to corpus values, shape (...): intervals then come from a bootstrap that only sums rows."""


@runtime_checkable
class Metric(Protocol):
    """Per-sample scoring plus what is needed to aggregate it."""

    name: ClassVar[str]
    needs_target: ClassVar[bool]

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What `score` fills, in table order."""
        ...

    @property
    def signature(self) -> str:
        """All settings and library versions that change a value, e.g. "rouge|stemmer:no|version:0.1.2"."""
        ...

    def score(self, answer: str, sample: Sample) -> Mapping[str, Score]:
        """Score one answer; one entry for each measure. Exceptions are caught by the runner and counted."""
        ...
