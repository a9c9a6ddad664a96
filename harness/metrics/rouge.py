"""ROUGE (Lin 2004) as Google's rouge-score computes it, which replicates the Perl script ROUGE-1.5.5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any, ClassVar

from harness.exceptions import BadValue, UnknownName
from harness.metrics.base import Measure
from harness.records import Sample, Score

LABELS: Mapping[str, str] = {
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "rougeLsum": "ROUGE-Lsum",
}


@lru_cache(maxsize=8)
def _scorer(types: tuple[str, ...], stemmer: bool) -> Any:
    # loads nltk and absl, which takes a second or more
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(types), use_stemmer=stemmer)


@dataclass(frozen=True)
class Rouge:
    """F-measures of the chosen ROUGE types, each from 0 to 1.

    The tokenizer is rouge-score's: lower case, everything but a to z and 0 to 9 separates words. A text in
    another script has therefore no words and scores 0. ROUGE-Lsum takes each line as a sentence (split at
    newlines), as rouge-score does by default; on one-line texts it equals ROUGE-L.
    """

    types: tuple[str, ...] = ("rouge1", "rouge2", "rougeL", "rougeLsum")
    """Which types, in table order."""
    stemmer: bool = False
    """Strip English suffixes from words of more than three letters (Porter)."""

    name: ClassVar[str] = "rouge"
    needs_target: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for kind in self.types:
            if kind not in LABELS:
                raise UnknownName("type of metric 'rouge'", kind, LABELS)
        if not self.types or len(set(self.types)) < len(self.types):
            raise BadValue("types of metric 'rouge'", self.types, "one or more different types")

    @property
    def measures(self) -> tuple[Measure, ...]:
        """One measure a type."""
        return tuple(Measure(kind, LABELS[kind]) for kind in self.types)

    @property
    def signature(self) -> str:
        """All that changes a value; the choice of types does not."""
        stemmer = "yes" if self.stemmer else "no"
        return f"rouge|stemmer:{stemmer}|sentences:newline|version:{version('rouge-score')}"

    def score(self, answer: str, sample: Sample) -> Mapping[str, Score]:
        """Score one answer against the target."""
        found = _scorer(self.types, self.stemmer).score(sample.target or "", answer)
        return {kind: Score(float(found[kind].fmeasure)) for kind in self.types}
