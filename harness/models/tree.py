"""Plans log-likelihood requests as a prefix tree, so that every distinct prefix is computed once.

All requests, as tokens, form one tree. What many of them share (few-shot examples) becomes a `Group`, whose
tokens are run once and kept as keys and values. What is left of the tree falls apart into `Unit`s, one for
each question as a rule: a trunk of tokens that all its answers share, and the branches that go on from it.
Units of similar size are run as the rows of one batch, with a mask by which a token sees only its ancestors.
Pure Python: the plan depends on the requests alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

Tokens = tuple[int, ...]

WORTH_KEEPING = 16
"""Fewer shared tokens than this are run again in every unit: keeping them would cost more."""
SMALL = 64
"""Requests with different prompts share a unit if what they do not share is at most so many tokens."""
LARGE = 384
"""Answers to one prompt become units of their own if together they have more tokens than this."""


class Request(NamedTuple):
    """What is to be scored: the tokens of `continuation`, after those of `prompt` (one at least)."""

    prompt: Tokens
    continuation: Tokens

    @property
    def run(self) -> Tokens:
        """What the model must read: the last token predicts nothing that is asked for."""
        return (*self.prompt, *self.continuation[:-1])


class Place(NamedTuple):
    """Where the tokens of one request are predicted: positions in its unit, one for each token."""

    request: int
    """Its index in the list that was planned."""
    positions: Tokens
    continuation: Tokens


@dataclass(frozen=True, slots=True)
class Unit:
    """One row: `trunk`, then `branches`, where `parents[i]` is the branch token before token i, -1 the trunk's end."""

    trunk: Tokens
    branches: Tokens
    parents: Tokens
    places: tuple[Place, ...]

    @property
    def depths(self) -> list[int]:
        """How many tokens of the unit stand before each of its tokens on the way from the root."""
        found = list(range(len(self.trunk)))
        for parent in self.parents:
            found.append(len(self.trunk) if parent < 0 else found[len(self.trunk) + parent] + 1)
        return found

    def __len__(self) -> int:
        return len(self.trunk) + len(self.branches)


@dataclass(frozen=True, slots=True)
class Group:
    """Units that share a prefix: the tokens of the parent group, then `tokens`."""

    parent: int | None
    """Index of the group it goes on from; None: it begins at the root."""
    tokens: Tokens
    units: tuple[Unit, ...]


def plan_tree(requests: Sequence[Request]) -> list[Group]:
    """Lay out all requests; every request stands in exactly one unit. Parents come before their children.

    Equal requests share their tokens, and each has a place of its own.
    """
    return _Planner(requests).groups()


def tree_tokens(groups: Sequence[Group]) -> int:
    """Tokens that are run for a plan, padding left out."""
    return sum(len(group.tokens) + sum(map(len, group.units)) for group in groups)


class _Planner:
    def __init__(self, requests: Sequence[Request]) -> None:
        self.requests = requests
        runs = [request.run for request in requests]
        self.order = sorted(range(len(runs)), key=runs.__getitem__)
        self.runs = [runs[index] for index in self.order]
        pairs = zip(self.runs, self.runs[1:], strict=False)
        self.shared = [0, *(_common(left, right) for left, right in pairs)][: len(runs)]
        """Tokens that run i shares with the one before it."""
        own = (len(run) - common for run, common in zip(self.runs, self.shared, strict=True))
        self.total = [0, *accumulate(own)]
        self.parents: list[int | None] = []
        self.tokens: list[Tokens] = []
        self.units: list[list[Unit]] = []

    def groups(self) -> list[Group]:
        if self.runs:
            self._add_group(None, ())
            waiting = [(0, len(self.runs), 0, 0)]
            while waiting:
                waiting += self._divide(*waiting.pop())
        made = zip(self.parents, self.tokens, self.units, strict=True)
        return [Group(parent, tokens, tuple(units)) for parent, tokens, units in made]

    def _add_group(self, parent: int | None, tokens: Tokens) -> int:
        self.parents.append(parent)
        self.tokens.append(tokens)
        self.units.append([])
        return len(self.parents) - 1

    def _divide(self, low: int, high: int, group: int, base: int) -> list[tuple[int, int, int, int]]:
        """Make runs low to high one unit of `group`, whose prefix has `base` tokens; or return their parts."""
        common = len(self.runs[low]) if high - low == 1 else min(self.shared[low + 1 : high])
        beneath = len(self.runs[low]) - common + self.total[high] - self.total[low + 1]
        if beneath <= self._room(low, high):
            self.units[group].append(self._unit(low, high, base, common))
            return []
        # A prefix ends before the first token that predicts something: units score, prefixes do not.
        end = min(common, *(len(self.requests[index].prompt) - 1 for index in self.order[low:high]))
        if end - base >= WORTH_KEEPING:
            group = self._add_group(group, self.runs[low][base:end])
            base = end
        cuts = [low, *(i for i in range(low + 1, high) if self.shared[i] == common), high]
        return [(a, b, group, base) for a, b in pairwise(cuts)]

    def _room(self, low: int, high: int) -> int:
        first = self.requests[self.order[low]].prompt
        same = all(self.requests[index].prompt == first for index in self.order[low + 1 : high])
        return LARGE if same else SMALL

    def _unit(self, low: int, high: int, base: int, common: int) -> Unit:
        """Lay out runs that share their first `common` tokens, of which `base` are in the group's prefix."""
        branches: list[int] = []
        parents: list[int] = []
        places: list[Place] = []
        path: list[int] = []  # where the tokens of the latest run stand, from `common` on
        for i in range(low, high):
            run = self.runs[i]
            path = path[: self.shared[i] - common] if i > low else []
            for token in run[common + len(path) :]:
                parents.append(path[-1] if path else -1)
                path.append(len(branches))
                branches.append(token)
            index = self.order[i]
            request = self.requests[index]
            start = len(request.prompt) - 1
            ends = range(start, start + len(request.continuation))
            at = tuple(d - base if d < common else common - base + path[d - common] for d in ends)
            places.append(Place(index, at, request.continuation))
        return Unit(self.runs[low][base:common], tuple(branches), tuple(parents), tuple(places))


def _common(left: Tokens, right: Tokens) -> int:
    """How many first tokens are the same."""
    length = min(len(left), len(right))
    if left[:length] == right[:length]:
        return length
    low, high = 0, length  # the first `low` are the same, the first `high` are not
    while high - low > 1:
        middle = (low + high) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle
    return low


def plan_rows(units: Sequence[Unit], budget: int) -> list[list[int]]:
    """Indices of the units of each batch: similar sizes together, at most `budget` tokens unless one has more."""
    order = sorted(range(len(units)), key=lambda i: (len(units[i]), len(units[i].trunk), i), reverse=True)
    batches: list[list[int]] = []
    tokens = 0
    for index in order:
        if not batches or tokens + len(units[index]) > budget:
            batches.append([])
            tokens = 0
        batches[-1].append(index)
        tokens += len(units[index])
    return batches
