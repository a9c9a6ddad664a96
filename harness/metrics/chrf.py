"""chrF and chrF++ (Popovic 2015, 2017) as sacrebleu computes them, on its scale of 0 to 100.

The corpus value is sacrebleu's `corpus_chrf`, a function of summed n-gram counts; the value of one sample is
the same function of its own counts (`sentence_chrf`). Recall weighs twice as much as precision (beta = 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from harness.exceptions import BadValue
from harness.metrics.base import FloatArray, Measure
from harness.records import Sample, Score

_BETA_SQUARED = 4.0


def chrf_from_statistics(sums: FloatArray) -> FloatArray:
    """Corpus chrF from summed statistics, shape (..., 3 * orders), to shape (...).

    The statistics are, order by order, n-grams of the answer, n-grams of the target, matches: sacrebleu's
    own. Precision and recall are averaged over the orders that both texts have.
    """
    answer, target, matches = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
    known = (answer > 0) & (target > 0)
    orders = np.maximum(known.sum(axis=-1), 1)
    precision = np.where(known, matches / np.where(known, answer, 1.0), 0.0).sum(axis=-1) / orders
    recall = np.where(known, matches / np.where(known, target, 1.0), 0.0).sum(axis=-1) / orders
    weighted = _BETA_SQUARED * precision + recall
    result: FloatArray = (
        100.0 * (1.0 + _BETA_SQUARED) * precision * recall / np.where(weighted > 0, weighted, 1.0)
    )
    return result


@lru_cache(maxsize=8)
def _scorer(word_order: int, lowercase: bool) -> Any:
    from sacrebleu.metrics import CHRF

    scorer = CHRF(word_order=word_order, lowercase=lowercase)
    # sacrebleu writes a signature only after a score has told it the number of references
    scorer.num_refs = 1
    return scorer


@dataclass(frozen=True)
class Chrf:
    """chrF with one reference, character n-grams of order 1 to 6, 0 to 100."""

    word_order: int = 0
    """Longest word n-gram that counts too: 0 is chrF, 1 chrF+, 2 chrF++."""
    lowercase: bool = False
    """Ignore case."""

    name: ClassVar[str] = "chrf"
    needs_target: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.word_order not in (0, 1, 2):
            raise BadValue("word_order of metric 'chrf'", self.word_order, "0, 1 or 2")

    @property
    def measures(self) -> tuple[Measure, ...]:
        """One corpus measure."""
        return (Measure("chrf", "chrF" + "+" * self.word_order, high=100.0, aggregate=chrf_from_statistics),)

    @property
    def signature(self) -> str:
        """Give sacrebleu's own signature, as its command line prints it."""
        name = "chrF2" + "+" * self.word_order
        return f"{name}|{_scorer(self.word_order, self.lowercase).get_signature()}"

    def score(self, answer: str, sample: Sample) -> Mapping[str, Score]:
        """Score one answer; the statistics sum to the corpus value."""
        scorer = _scorer(self.word_order, self.lowercase)
        # the counts that sacrebleu's own significance tests resample; its public scores do not carry them
        (counts,) = scorer._extract_corpus_statistics([answer], [[sample.target or ""]])  # noqa: SLF001
        statistics = tuple(float(count) for count in counts)
        return {"chrf": Score(float(chrf_from_statistics(np.array(statistics))), statistics)}
