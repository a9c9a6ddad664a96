"""Finds test questions that also stand in the training data.

Only the questions are compared: a test question seen in training is a leak whatever the answers say.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.data.duplicates import NEAR_DUPLICATE_THRESHOLD
from harness.data.similarity import SimilarIndex, question_key, question_text, rarity, shingles
from harness.records import Sample

LEAK_THRESHOLD = 0.8
"""Weighted similarity of two questions from which they count as the same. Of the 24 pairs at 0.8 and above in
1,400 support questions the 12 read asked the same thing; between 0.7 and 0.8 a third named another task."""


def find_leaks(
    test: Sequence[Sample], train: Sequence[Sample], threshold: float = LEAK_THRESHOLD, seed: int = 0
) -> tuple[tuple[str, str], ...]:
    """(test id, training id) for each test question that stands in the training data, in test order.

    A question is found if it is equal after normalisation (case, white space, Unicode form), at least
    `threshold` alike by weighted similarity, or a near-duplicate by plain similarity (which also sees variants
    that make up most of a small data set). Where several training rows fit, the equal one is named, else the
    first.
    """
    if not test or not train:
        return ()
    same: dict[str, Sample] = {}
    for sample in train:
        same.setdefault(question_key(sample), sample)
    known = list(same.values())
    known_documents = [shingles(question_text(sample) or sample.target or "") for sample in known]
    documents = [shingles(question_text(sample) or sample.target or "") for sample in test]
    weights = rarity([*known_documents, *documents])
    indexes = (SimilarIndex(threshold, seed, weights), SimilarIndex(NEAR_DUPLICATE_THRESHOLD, seed))
    for index in indexes:
        for document in known_documents:
            index.add(index.sketch(document))
    leaks: list[tuple[str, str]] = []
    for sample, document in zip(test, documents, strict=True):
        equal = same.get(question_key(sample))
        if equal is not None:
            leaks.append((sample.id, equal.id))
            continue
        alike = [number for index in indexes for number in index.find(index.sketch(document))]
        if alike:
            leaks.append((sample.id, known[min(alike)].id))
    return tuple(leaks)
