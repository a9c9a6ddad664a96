"""Runs the plan of a prefix tree batch by batch, keeping no more prefixes in memory than are still needed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from harness.models.base import ScoredBatch
from harness.models.scoring import EncodedPair
from harness.models.tree import Group, Request, plan_rows, plan_tree
from harness.models.tree_scoring import Prefix, TreeScorer
from harness.records import LogLikelihood


def score_tree(
    scorer: TreeScorer, pairs: Sequence[EncodedPair], known: Collection[int], budget: int
) -> Iterator[ScoredBatch]:
    """Score every pair whose index is not in `known`; batches of at most `budget` tokens are yielded as they finish.

    Planned from all pairs. A unit that has something left to score is run whole, the others are left out of
    the batch they were planned into. A continuation without tokens has probability 1.
    """
    empty = [index for index, pair in enumerate(pairs) if not pair.continuation and index not in known]
    if empty:
        yield empty, [LogLikelihood(0.0, greedy=True, tokens=0) for _ in empty]
    scored = [index for index, pair in enumerate(pairs) if pair.continuation]
    groups = plan_tree([Request(pairs[index].prompt, pairs[index].continuation) for index in scored])
    left = {place for place, index in enumerate(scored) if index not in known}
    for group, prefix in _walk(scorer, groups, left):
        for batch in plan_rows(group.units, budget):
            units = [group.units[i] for i in batch if _wanted(group, i, left)]
            if units:
                found = [
                    (scored[place], value) for place, value in scorer.run(units, prefix) if place in left
                ]
                yield [index for index, _ in found], [value for _, value in found]


def _wanted(group: Group, unit: int, left: Collection[int]) -> bool:
    return any(place.request in left for place in group.units[unit].places)


def _walk(
    scorer: TreeScorer, groups: Sequence[Group], left: Collection[int]
) -> Iterator[tuple[Group, Prefix | None]]:
    """Every group that has something left, depth first, with its prefix; a prefix is dropped after its subtree."""
    children: dict[int | None, list[int]] = {}
    for index, group in enumerate(groups):
        children.setdefault(group.parent, []).append(index)
    needed: set[int] = set()
    for index in reversed(range(len(groups))):
        group = groups[index]
        if index in needed or any(_wanted(group, i, left) for i in range(len(group.units))):
            needed.add(index)
            if group.parent is not None:
                needed.add(group.parent)

    def visit(index: int, parent: Prefix | None) -> Iterator[tuple[Group, Prefix | None]]:
        if index not in needed:
            return
        group = groups[index]
        prefix = scorer.prefix(group.tokens, parent) if group.tokens else parent
        yield group, prefix
        for child in children.get(index, ()):
            yield from visit(child, prefix)

    for index in children.get(None, ()):
        yield from visit(index, scorer.root)
