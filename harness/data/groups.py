"""Finds the rows that must stay on one side of a split, so that no test question was nearly seen in training.

The threshold was chosen by reading about 80 pairs of a real set of 1,400 support questions: from 0.4 of the
weighted similarity upwards they were paraphrases, or one template with one word changed. Grouping costs
nothing but freedom in the split, so it may be loose; the largest group was 17 rows. Below 0.35 unrelated
questions began to form chains of 30 and more.

Weighted similarity alone would miss rows of which most of the data are variants, for then their words are
common and weigh nothing. So near-duplicates by plain similarity share a group as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.data.duplicates import NEAR_DUPLICATE_THRESHOLD
from harness.data.similarity import (
    Shingles,
    SimilarIndex,
    pair_shingles,
    question_key,
    question_text,
    rarity,
    shingles,
)
from harness.records import Sample

GROUP_THRESHOLD = 0.4
"""Weighted similarity of two questions from which their rows stay together."""


def question_groups(
    samples: Sequence[Sample],
    threshold: float = GROUP_THRESHOLD,
    near_duplicate_threshold: float = NEAR_DUPLICATE_THRESHOLD,
    seed: int = 0,
) -> tuple[int, ...]:
    """For each sample the index of the first sample of its group.

    Two samples share a group if their questions are equal or alike (`threshold`, weighted), or if the
    questions or question plus answer are near-duplicates (`near_duplicate_threshold`, plain). Groups are
    closed: if a is like b and b like c, all three are one group.
    """
    groups = _Groups(len(samples))
    if not samples:
        return ()
    seen: dict[str, int] = {}
    distinct: list[int] = []
    for position, sample in enumerate(samples):
        first = seen.setdefault(question_key(sample), position)
        groups.join(first, position)
        if first == position:
            distinct.append(position)
    questions = [shingles(question_text(samples[p]) or samples[p].target or "") for p in distinct]
    _join_alike(groups, distinct, questions, SimilarIndex(threshold, seed, rarity(questions)))
    _join_alike(groups, distinct, questions, SimilarIndex(near_duplicate_threshold, seed))
    everything = list(range(len(samples)))
    pairs = [pair_shingles(sample) for sample in samples]
    _join_alike(groups, everything, pairs, SimilarIndex(near_duplicate_threshold, seed))
    return tuple(groups.root(position) for position in everything)


def _join_alike(
    groups: _Groups, positions: Sequence[int], documents: Sequence[Shingles], index: SimilarIndex
) -> None:
    for position, document in zip(positions, documents, strict=True):
        sketch = index.sketch(document)
        for found in index.find(sketch):
            groups.join(positions[found], position)
        index.add(sketch)


class _Groups:
    """Disjoint sets of positions, each named by its lowest member (union-find with path halving)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, position: int) -> int:
        parent = self._parent
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    def join(self, one: int, other: int) -> None:
        low, high = sorted((self.root(one), self.root(other)))
        self._parent[high] = low
