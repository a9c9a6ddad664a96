"""Which log-likelihoods must be exact for the decisions to be right, and what a bound lets through.

A choice wins by a margin of log-likelihood, plain (`acc`) or for each character (`acc_norm`) or byte (`acc_bytes`).
Rounding moves a margin by an error whose spread grows with the root of the tokens that were added up, so that one
number for each kind of data describes it: the error of a difference, divided by the root of its tokens. It is estimated
on samples that were scored both ways. A margin that is small beside its error needs exact numbers; the rest are left,
as long as few wrong decisions are to be expected among them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.metrics.base import FloatArray
from harness.stats.arrays import t_tail

FIRST = 8
"""Samples that are scored both ways before a bound is trusted: those with the smallest margins, which the bound
would ask for anyway. A small margin says nothing of its error, or overstates it."""
WRONG_OF = 1000
"""One wrong decision in so many samples may be expected."""
_FREEDOM = 10
"""Most degrees of freedom of the errors' t distribution: their tails are longer than a normal one's (kurtosis 3.5 to
4.5 on SmolLM2-135M, once divided by the root of the tokens)."""
_SHARE_ERROR = 0.005 / 3
"""Standard error allowed in a mean of probability shares: 0.005 is then three of them."""


@dataclass(frozen=True, slots=True)
class Question:
    """One sample: the places of its choices in the list of requests, and what the log-likelihoods are divided by.

    lengths: for each decision one divisor a choice; labels: of a share of probability, 1 for a right choice.
    """

    places: tuple[int, ...]
    lengths: tuple[tuple[float, ...], ...] = ()
    labels: tuple[int, ...] | None = None


@dataclass(slots=True)
class Errors:
    """What is known of the rounding error of one kind of data."""

    squares: float = 0.0
    differences: int = 0
    questions: int = 0

    @property
    def spread(self) -> float:
        """Root mean square of a difference's error, in nats for each root of a token."""
        return math.sqrt(self.squares / self.differences) if self.differences else math.inf

    def add(self, low: Sequence[float], high: Sequence[float], tokens: Sequence[int]) -> None:
        """Learn from the choices of one question that were scored both ways."""
        error = np.subtract(low, high)
        if len(error) < 2 or not np.isfinite(error).all():
            return
        best = int(np.argmax(low))
        others = [place for place in range(len(error)) if place != best]
        sizes = np.asarray(tokens, dtype=np.float64)
        standard = (error[best] - error[others]) ** 2 / (sizes[best] + sizes[others])
        self.squares += float(standard.sum())
        self.differences += len(others)
        self.questions += 1

    def wrong(self, ratios: FloatArray) -> FloatArray:
        """Probability that an error turns a margin, given margin / root of its tokens."""
        if not self.differences:
            return np.full(len(ratios), 0.5)
        freedom = max(1, min(self.questions - 1, _FREEDOM))
        if not self.squares:
            return np.zeros(len(ratios))
        return t_tail(ratios / self.spread, freedom)


@dataclass(slots=True)
class Scores:
    """The log-likelihoods of one task on their way to exactness."""

    values: list[float]
    tokens: Sequence[int]
    exact: set[int] = field(default_factory=set)

    def take(self, found: Mapping[int, float]) -> None:
        """Put exact values in the place of rounded ones."""
        for place, value in found.items():
            self.values[place] = value
        self.exact |= found.keys()


@dataclass(frozen=True, slots=True)
class Margin:
    """How far a winner stands before another choice, by the root of the tokens that are not exact."""

    ratio: float
    question: int
    places: tuple[int, int]


def margins(questions: Sequence[Question], scores: Scores) -> list[Margin]:
    """All margins that rounding may turn, the smallest first."""
    found = [
        margin for number, question in enumerate(questions) for margin in _of_one(number, question, scores)
    ]
    return sorted(found, key=lambda margin: (margin.ratio, margin.question, margin.places))


def _of_one(number: int, question: Question, scores: Scores) -> Iterator[Margin]:
    values = np.array([scores.values[place] for place in question.places])
    if not np.isfinite(values).all():
        return
    noise = np.array([0.0 if p in scores.exact else float(scores.tokens[p]) for p in question.places])
    for lengths in question.lengths:
        divisor = np.asarray(lengths)
        scaled, variance = values / divisor, noise / divisor**2
        best = int(np.argmax(scaled))
        for other in range(len(values)):
            both = variance[best] + variance[other]
            if other != best and both > 0:
                ratio = float((scaled[best] - scaled[other]) / math.sqrt(both))
                yield Margin(ratio, number, (question.places[best], question.places[other]))


def first_questions(found: Sequence[Margin]) -> list[int]:
    """All questions with a margin, that with the smallest first."""
    return list(dict.fromkeys(margin.question for margin in found))


def below_the_bound(found: Sequence[Margin], errors: Errors, samples: int) -> tuple[set[int], float]:
    """(places that must be exact, wrong decisions to be expected among the margins above the bound).

    The bound is the smallest at which at most one decision in `WRONG_OF` samples is expected to be wrong.
    """
    wrong = errors.wrong(np.array([margin.ratio for margin in found]))
    left = float(wrong.sum())
    allowed = samples / WRONG_OF
    places: set[int] = set()
    for margin, chance in zip(found, wrong, strict=True):
        if left <= allowed:
            break
        places.update(margin.places)
        left -= float(chance)
    return places, max(0.0, left)


def unsure_first(questions: Sequence[Question], scores: Scores) -> list[int]:
    """All questions with a share, that first which moves most with errors of one size."""
    variances = [_share_variance(question, scores, 1.0) for question in questions]
    return sorted(range(len(questions)), key=lambda number: -variances[number])


def uncertain_shares(questions: Sequence[Question], scores: Scores, spread: float) -> tuple[set[int], float]:
    """(places to make exact, standard error left of the mean share), the most uncertain questions first.

    A share of probability is no decision: it moves a little with every error, and the mean of many is sure.
    """
    variances = [(_share_variance(question, scores, spread), question) for question in questions]
    left = sum(variance for variance, _ in variances)
    places: set[int] = set()
    allowed = (_SHARE_ERROR * len(questions)) ** 2
    for variance, question in sorted(variances, key=lambda pair: -pair[0]):
        if left <= allowed or not variance:
            break
        places.update(set(question.places) - scores.exact)
        left -= variance
    return places, math.sqrt(max(0.0, left)) / max(1, len(questions))


def _share_variance(question: Question, scores: Scores, spread: float) -> float:
    values = np.array([scores.values[place] for place in question.places])
    if question.labels is None or not np.isfinite(values).all():
        return 0.0
    weights = np.exp(values - values.max())
    weights /= weights.sum()
    right = np.array(question.labels) == 1
    slope = weights * (right - weights[right].sum())
    noise = np.array([0.0 if p in scores.exact else float(scores.tokens[p]) for p in question.places])
    # the spread is that of a difference, of which each side has its own tokens' part
    return float((slope**2 * noise).sum() * spread**2)


def broken(questions: Sequence[Question], scores: Scores) -> Collection[int]:
    """Places of rounded values that are not finite, with all of their question."""
    return {
        place
        for question in questions
        if any(not math.isfinite(scores.values[p]) and p not in scores.exact for p in question.places)
        for place in question.places
    }
