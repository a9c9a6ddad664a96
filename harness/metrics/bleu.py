"""BLEU (Papineni et al. 2002) as sacrebleu computes it (Post 2018), on its scale of 0 to 100.

The corpus value is sacrebleu's `corpus_bleu`: exponential smoothing, four orders, a function of summed
counts. The value of one sample is its `sentence_bleu`, which leaves out the orders that a short text cannot
have (effective order). The corpus value is therefore not the mean of the sample values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from harness.exceptions import UnknownName
from harness.metrics.base import FloatArray, Measure
from harness.records import Sample, Score

ORDERS = 4

TOKENIZERS = ("13a", "intl", "char", "zh", "none")
"""Those of sacrebleu that need no further package or download."""


def bleu_from_statistics(sums: FloatArray) -> FloatArray:
    """Corpus BLEU from summed statistics, shape (..., 10), to shape (...).

    The statistics are answer length, target length, matches of order 1 to 4, n-grams of order 1 to 4, in
    tokens: sacrebleu's own. As there, the value is 0 where nothing matches or no answer is four tokens long.
    """
    answer, target = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2 : 2 + ORDERS], sums[..., 2 + ORDERS :]
    defined = (matches.sum(axis=-1) > 0) & (totals > 0).all(axis=-1)
    # the k-th order without a match counts as 1 / 2^k of a match
    missed = np.cumsum(matches == 0, axis=-1)
    smoothed = np.where(matches > 0, matches, 0.5**missed)
    precisions = 100.0 * smoothed / np.where(totals > 0, totals, 1.0)
    penalty = np.minimum(0.0, 1.0 - target / np.where(answer > 0, answer, 1.0))
    value = np.exp(penalty + np.log(precisions).mean(axis=-1))
    result: FloatArray = np.where(defined, value, 0.0)
    return result


@lru_cache(maxsize=8)
def _scorer(tokenize: str, lowercase: bool, effective_order: bool) -> Any:
    from sacrebleu.metrics import BLEU

    scorer = BLEU(tokenize=tokenize, lowercase=lowercase, effective_order=effective_order, force=True)
    # sacrebleu writes a signature only after a score has told it the number of references
    scorer.num_refs = 1
    return scorer


@dataclass(frozen=True)
class Bleu:
    """BLEU with one reference, 0 to 100."""

    tokenize: str = "13a"
    """One of `TOKENIZERS`; 13a is that of WMT's mteval script."""
    lowercase: bool = False
    """Ignore case."""

    name: ClassVar[str] = "bleu"
    needs_target: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.tokenize not in TOKENIZERS:
            raise UnknownName("tokenizer of metric 'bleu'", self.tokenize, TOKENIZERS)

    @property
    def measures(self) -> tuple[Measure, ...]:
        """One corpus measure."""
        return (Measure("bleu", "BLEU", high=100.0, aggregate=bleu_from_statistics),)

    @property
    def signature(self) -> str:
        """Give sacrebleu's own signature of the corpus value, as its command line prints it."""
        return f"BLEU|{_scorer(self.tokenize, self.lowercase, False).get_signature()}"

    def score(self, answer: str, sample: Sample) -> Mapping[str, Score]:
        """Score one answer; the statistics sum to the corpus value."""
        scorer = _scorer(self.tokenize, self.lowercase, True)
        found = scorer.sentence_score(answer, [sample.target or ""])
        counts = (found.sys_len, found.ref_len, *found.counts, *found.totals)
        return {"bleu": Score(float(found.score), tuple(float(count) for count in counts))}
