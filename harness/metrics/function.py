"""Turns a user's function into a metric: what `@harness.metric` does."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.exceptions import BadValue
from harness.metrics.base import Measure, Metric
from harness.records import Sample, Score

ScoreFunction = Callable[[str, Sample], float | None]
"""From answer and sample to a value on the declared scale; None leaves the sample unscored."""


def metric_class(function: ScoreFunction, measure: Measure, *, needs_target: bool) -> type[Metric]:
    """Make a metric without settings from a function; its signature holds a digest of the function's code."""
    if not (math.isfinite(measure.low) and math.isfinite(measure.high) and measure.low < measure.high):
        raise BadValue(
            f"scale of metric {measure.name!r}", (measure.low, measure.high), "finite, low below high"
        )
    try:
        inspect.signature(function).bind("answer", Sample("id", "input"))
    except TypeError as problem:
        raise BadValue(
            f"signature of metric {measure.name!r}",
            str(inspect.signature(function)),
            "that of a function of two arguments, answer and sample",
        ) from problem
    digest = code_digest(function)

    @dataclass(frozen=True)
    class FunctionMetric:
        """A user's function as a metric."""

        name: ClassVar[str] = measure.name
        needs_target: ClassVar[bool]

        @property
        def measures(self) -> tuple[Measure, ...]:
            """The one measure, as declared."""
            return (measure,)

        @property
        def signature(self) -> str:
            """Name and digest of the file it stands in."""
            return f"{measure.name}|code:{digest}"

        def score(self, answer: str, sample: Sample) -> Mapping[str, Score]:
            """Call the function."""
            value = function(answer, sample)
            if value is None:
                return {measure.name: Score(None, reason=f"{measure.name} gave no value")}
            return {measure.name: Score(float(value))}

    FunctionMetric.needs_target = needs_target
    return FunctionMetric


def code_digest(function: Callable[..., object]) -> str:
    """Digest the file a function stands in, since it may use the rest of it, to 12 hex digits.

    Where there is no such file (a notebook), its own source; without that, its bytecode.
    """
    try:
        path = Path(inspect.getfile(function))
        code = path.read_bytes() if path.is_file() else inspect.getsource(function).encode("utf-8")
    except (OSError, TypeError):
        compiled = function.__code__
        code = compiled.co_code + repr((compiled.co_consts, compiled.co_names)).encode("utf-8")
    return hashlib.sha256(code).hexdigest()[:12]


def origin_of(function: Callable[..., object]) -> str:
    """Name the file a function was written in, or the module where there is no file (a notebook)."""
    path = Path(inspect.getfile(function))
    return path.name if path.is_file() else function.__module__
