"""Token F1 of SQuAD: how many words answer and target share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.metrics.base import Measure
from harness.metrics.normalise import squad
from harness.records import Sample, Score


@dataclass(frozen=True)
class TokenF1:
    """Harmonic mean of precision and recall over the words of both texts, after SQuAD's normalisation.

    A word that stands twice counts twice.

    Where one text has no word left, the score is 1 if the other has none either and 0 otherwise
    (`compute_f1` of the official evaluation script of SQuAD 2.0, Rajpurkar et al. 2018).
    """

    name: ClassVar[str] = "token_f1"
    needs_target: ClassVar[bool] = True

    @property
    def measures(self) -> tuple[Measure, ...]:
        """One measure from 0 to 1."""
        return (Measure("token_f1", "Token F1"),)

    @property
    def signature(self) -> str:
        """The normalisation, which is always SQuAD's."""
        return "token_f1|normalisation:squad"

    def score(self, answer: str, sample: Sample) -> Mapping[str, Score]:
        """Score one answer against the target."""
        given, wanted = squad(answer).split(), squad(sample.target or "").split()
        return {"token_f1": Score(_f1(given, wanted))}


def _f1(given: list[str], wanted: list[str]) -> float:
    if not given or not wanted:
        return float(given == wanted)
    shared = (Counter(given) & Counter(wanted)).total()
    # 2pr / (p + r) with p = shared / given and r = shared / wanted
    return 2.0 * shared / (len(given) + len(wanted))
