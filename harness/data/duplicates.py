"""Removes rows that repeat an earlier row, word for word or nearly.

The thresholds were chosen by reading about 150 pairs of a real set of 1,400 support questions. Question plus
answer at 0.85 and above is a repetition, unless a long shared answer drowns a short question ("Is it free?"
and "Do I have to pay", or "owned by Google?" and "owned by Tesla?"). So the questions alone must be alike as
well: at 0.65 all but one of the repetitions read were above ("most recent version" and "latest version":
0.70) and the four "owned by" questions (0.64) below. A repetition that is missed still shares a group.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.data.similarity import (
    SimilarIndex,
    normalise,
    pair_shingles,
    question_text,
    shingles,
    similarity,
)
from harness.records import Sample

NEAR_DUPLICATE_THRESHOLD = 0.85
"""Jaccard similarity of question plus answer from which a later row is dropped."""
SAME_QUESTION_THRESHOLD = 0.65
"""Similarity that the questions of a near-duplicate must have as well."""

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Deduplicated:
    """What is left; `exact` and `near` hold (dropped id, id of the earlier row it repeats)."""

    kept: tuple[Sample, ...]
    exact: tuple[tuple[str, str], ...]
    near: tuple[tuple[str, str], ...]


def remove_duplicates(
    samples: Sequence[Sample], threshold: float = NEAR_DUPLICATE_THRESHOLD, seed: int = 0
) -> Deduplicated:
    """Drop exact, then near duplicates; the first of each stays, order is kept.

    The same question with another answer is no duplicate, nor is a row with other numbers or system message.
    """
    first: dict[tuple[str, ...], Sample] = {}
    exact: list[tuple[str, str]] = []
    for sample in samples:
        earlier = first.setdefault(_exact_key(sample), sample)
        if earlier is not sample:
            exact.append((sample.id, earlier.id))
    kept, near = _drop_near(list(first.values()), threshold, seed)
    return Deduplicated(tuple(kept), tuple(exact), tuple(near))


def _drop_near(
    samples: list[Sample], threshold: float, seed: int
) -> tuple[list[Sample], list[tuple[str, str]]]:
    questions = [shingles(question_text(sample)) for sample in samples]
    index = SimilarIndex(threshold, seed)
    kept: list[int] = []
    near: list[tuple[str, str]] = []
    for position, sample in enumerate(samples):
        sketch = index.sketch(pair_shingles(sample))
        earlier = next(
            (
                kept[found]
                for found in index.find(sketch)
                if _guard(samples[kept[found]]) == _guard(sample)
                and similarity(questions[kept[found]], questions[position]) >= SAME_QUESTION_THRESHOLD
            ),
            None,
        )
        if earlier is None:
            index.add(sketch)
            kept.append(position)
        else:
            near.append((sample.id, samples[earlier].id))
    return [samples[position] for position in kept], near


def _exact_key(sample: Sample) -> tuple[str, ...]:
    turns = tuple(normalise(f"{message.role}: {message.content}") for message in sample.history)
    return (*turns, normalise(sample.input), normalise(sample.context), normalise(sample.target or ""))


def _guard(sample: Sample) -> tuple[tuple[str, ...], list[str]]:
    """Pick what must be equal in near-duplicates although it hardly changes the words."""
    system = tuple(message.content for message in sample.history if message.role == "system")
    return system, sorted(_NUMBER.findall(f"{question_text(sample)} {sample.target or ''}"))
