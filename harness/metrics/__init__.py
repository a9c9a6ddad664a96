"""The metric family: built-ins, the registry, and the decorator for a user's own function.

`base` is the contract, `runner` scores samples, `aggregate` turns scores into estimates, `comparison` into
paired differences. Libraries that score are loaded at the first score, not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, overload

from harness.exceptions import BadValue, InputError, UnknownName
from harness.metrics.base import Measure, Metric
from harness.metrics.bleu import Bleu
from harness.metrics.chrf import Chrf
from harness.metrics.exact_match import ExactMatch
from harness.metrics.function import ScoreFunction, metric_class, origin_of
from harness.metrics.rouge import Rouge
from harness.metrics.token_f1 import TokenF1
from harness.registry import Registry

BUILTINS: tuple[type[Metric], ...] = (ExactMatch, TokenF1, Rouge, Bleu, Chrf)

Spec = str | Mapping[str, Any]
"""`"rouge"` or `{"rouge": {"stemmer": True}}`."""


@lru_cache(maxsize=1)
def registry() -> Registry[Metric]:
    """Give all metrics; third-party ones come from the entry points `harness.metrics`."""
    family: Registry[Metric] = Registry("metric", "harness.metrics")
    for builtin in BUILTINS:
        family.add(builtin.name, builtin)
    return family


def create_metrics(specs: Sequence[Spec]) -> list[Metric]:
    """Make metrics from specs, in order; two that fill one measure are refused, as is any bad setting."""
    if isinstance(specs, (str, Mapping)):
        raise BadValue("metrics", specs, "a list of names or {name: {setting: value}}")
    metrics = [registry().create(spec) for spec in specs]
    owners: dict[str, str] = {}
    for made in metrics:
        for measure in made.measures:
            if measure.name in owners:
                raise InputError(
                    f"The metrics {owners[measure.name]!r} and {made.name!r} both give the measure "
                    f"{measure.name!r}; leave one of them out."
                )
            owners[measure.name] = made.name
    return metrics


def find_measure(metrics: Iterable[Metric], name: str) -> Measure:
    """Find the measure of this name among the metrics; an unknown one lists those there are."""
    measures = {measure.name: measure for made in metrics for measure in made.measures}
    if name not in measures:
        raise UnknownName("measure", name, measures)
    return measures[name]


@overload
def metric(function: ScoreFunction, /) -> ScoreFunction: ...


@overload
def metric(
    *,
    label: str | None = None,
    low: float = 0.0,
    high: float = 1.0,
    higher_is_better: bool = True,
    binary: bool = False,
    needs_target: bool = True,
) -> Callable[[ScoreFunction], ScoreFunction]: ...


def metric(
    function: ScoreFunction | None = None,
    /,
    *,
    label: str | None = None,
    low: float = 0.0,
    high: float = 1.0,
    higher_is_better: bool = True,
    binary: bool = False,
    needs_target: bool = True,
) -> ScoreFunction | Callable[[ScoreFunction], ScoreFunction]:
    """Register a function `f(answer, sample) -> float` as a metric under its own name; it stays callable.

    label: for tables, by default the name with spaces. low, high: the scale, finite; a value outside is
    recorded as unscored. binary: every value is 0 or 1, so the interval is Wilson's. needs_target: samples
    without a target are unscored. A function that returns None leaves that sample unscored. A name that is
    taken is refused.
    """

    def register(score: ScoreFunction) -> ScoreFunction:
        name = score.__name__
        text = name.replace("_", " ").capitalize() if label is None else label
        measure = Measure(name, text, low, high, higher_is_better, binary)
        made = metric_class(score, measure, needs_target=needs_target)
        registry().add(name, made, origin_of(score), again=True)
        return score

    return register if function is None else register(function)
