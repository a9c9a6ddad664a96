"""Exact match: whether the answer is the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.exceptions import InputError
from harness.metrics.base import Measure
from harness.metrics.normalise import one_space, without_articles, without_punctuation
from harness.records import Sample, Score


@dataclass(frozen=True)
class ExactMatch:
    """1 where the normalised answer equals the normalised target, else 0.

    By default only whitespace is forgiven. With `ignore_case`, `ignore_punctuation` and `ignore_articles` all
    on it is the exact match of SQuAD (see `normalise`).
    """

    ignore_case: bool = False
    """Compare in lower case."""
    ignore_punctuation: bool = False
    """Leave out ASCII punctuation."""
    ignore_articles: bool = False
    """Leave out a, an, the; needs `ignore_whitespace`, since it leaves gaps."""
    ignore_whitespace: bool = True
    """Count runs of whitespace as one space, and none at the ends."""

    name: ClassVar[str] = "exact_match"
    needs_target: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.ignore_articles and not self.ignore_whitespace:
            raise InputError(
                "exact_match has ignore_articles without ignore_whitespace: the gaps that articles leave "
                "would then never match; set both or neither."
            )

    @property
    def measures(self) -> tuple[Measure, ...]:
        """One measure of 0 or 1."""
        return (Measure("exact_match", "Exact match", binary=True),)

    @property
    def signature(self) -> str:
        """What is ignored, e.g. "exact_match|ignore:case+whitespace"."""
        settings = {
            "case": self.ignore_case,
            "punctuation": self.ignore_punctuation,
            "articles": self.ignore_articles,
            "whitespace": self.ignore_whitespace,
        }
        ignored = "+".join(name for name, on in settings.items() if on)
        return f"exact_match|ignore:{ignored or 'nothing'}"

    def score(self, answer: str, sample: Sample) -> Mapping[str, Score]:
        """Compare the answer with the target; two empty texts are equal."""
        equal = self._normalise(answer) == self._normalise(sample.target or "")
        return {"exact_match": Score(1.0 if equal else 0.0)}

    def _normalise(self, text: str) -> str:
        if self.ignore_case:
            text = text.lower()
        if self.ignore_punctuation:
            text = without_punctuation(text)
        if self.ignore_articles:
            text = without_articles(text)
        return one_space(text) if self.ignore_whitespace else text
