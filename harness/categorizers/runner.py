"""Runs categorizers over samples. The one place where a categorizer's exception is caught and recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.categorizers.base import Categorizer
from harness.exceptions import BadValue
from harness.records import Category, Finish, Generation, Sample

_REASON = 200
"""Longest problem kept: an exception may quote the whole answer."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What categorizers found. Samples are in the order given."""

    categories: tuple[tuple[Category, ...], ...]
    """The categories of each sample, in the order of the categorizers."""
    failures: tuple[tuple[str, str], ...]
    """(sample id, reason) wherever a categorizer raised: that mistake was not looked for there."""


def categorize(
    categorizers: Sequence[Categorizer],
    generations: Sequence[Generation],
    answers: Sequence[str],
    samples: Sequence[Sample],
) -> Findings:
    """Look at generation i, answer i and sample i with every categorizer.

    A failed generation has no categories, since there is no answer; a categorizer that needs a target passes
    over samples without one. Sequences of different length raise BadValue.
    """
    for name, given in (("generations", generations), ("answers", answers)):
        if len(given) != len(samples):
            raise BadValue(f"number of {name}", len(given), f"that of the samples, {len(samples)}")
    found: list[tuple[Category, ...]] = []
    failures: list[tuple[str, str]] = []
    for generation, answer, sample in zip(generations, answers, samples, strict=True):
        row: list[Category] = []
        for categorizer in () if generation.finish is Finish.FAILED else categorizers:
            if categorizer.needs_target and sample.target is None:
                continue
            try:
                category = categorizer.categorize(generation, answer, sample)
            except Exception as problem:  # noqa: BLE001 - it may raise anything; the run goes on and counts it
                reason = f"{categorizer.name} failed: {type(problem).__name__}: {problem}"
                failures.append((sample.id, reason[:_REASON]))
            else:
                row += [category] if category is not None else []
        found.append(tuple(row))
    return Findings(tuple(found), tuple(failures))
