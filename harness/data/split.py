"""Splits samples into training, validation and test rows by seed, groups kept together.

Groups are ordered by a hash of the seed and the first of their questions, not by a shuffle of positions: rows that
are added, removed or corrected later hardly change on which side the others fall, so that the next iteration
of the data is measured on nearly the same test rows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.data.similarity import question_key
from harness.exceptions import BadValue, InputError
from harness.records import Sample


class EmptySplit(InputError):
    """A side of the split that must have rows has none."""

    def __init__(self, side: str, reason: str) -> None:
        super().__init__(f"No {side} rows are left after the split: {reason}")


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """Sizes as shares (below 1) or counts (whole numbers); the rest is training."""

    validation: int | float = 0.05
    test: int | float = 0.1
    seed: int = 7

    def __post_init__(self) -> None:
        for name, size in (("validation", self.validation), ("test", self.test)):
            number = isinstance(size, int | float) and not isinstance(size, bool)
            if not number or not (0 <= size < 1 or (isinstance(size, int) and size >= 1)):
                raise BadValue(f"split.{name}", size, "a share from 0 to below 1, or a whole number of rows")
        if self.validation < 1 and self.test < 1 and self.validation + self.test >= 1:
            given = f"{self.validation} and {self.test}"
            raise BadValue("split.validation and split.test", given, "below 1 together")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise BadValue("split.seed", self.seed, "a whole number")


@dataclass(frozen=True, slots=True)
class Split:
    """Three disjoint parts that together hold every sample, each in the order of the data."""

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]


def wanted_rows(size: float, rows: int) -> int:
    """Rows that a share or count of `rows` asks for, half a row rounded up."""
    return math.floor(size * rows + 0.5) if size < 1 else int(size)


def split_samples(
    samples: Sequence[Sample], settings: SplitSettings, groups: Sequence[int] | None = None
) -> Split:
    """Split by seed; samples with the same number in `groups` fall on the same side.

    A side gets as many rows as asked, or a few less where no group of the right size is left (a single group
    that is larger only if it would otherwise stay empty). Raises EmptySplit or BadValue.
    """
    rows = len(samples)
    test, validation = wanted_rows(settings.test, rows), wanted_rows(settings.validation, rows)
    if test == 0:
        raise EmptySplit(
            "test",
            f"split.test is {settings.test!r} and {rows} rows came in; give a larger share, a count of 1 or "
            "more, or a test file of its own.",
        )
    if test + validation >= rows:
        raise BadValue(
            "split",
            f"validation {settings.validation!r} and test {settings.test!r}",
            f"less than the {rows} rows that are left after cleaning, so that some remain for training",
        )
    return _divide(samples, settings.seed, {"test": test, "validation": validation}, groups)


def hold_out_validation(
    samples: Sequence[Sample], settings: SplitSettings, groups: Sequence[int] | None = None
) -> Split:
    """Split into training and validation only, for data with a test file of its own; `test` stays empty."""
    rows = len(samples)
    validation = wanted_rows(settings.validation, rows)
    if validation >= rows:
        allowed = f"less than the {rows} rows that are left after cleaning, so that some remain for training"
        raise BadValue("split.validation", settings.validation, allowed)
    return _divide(samples, settings.seed, {"test": 0, "validation": validation}, groups)


def _divide(
    samples: Sequence[Sample], seed: int, wanted: dict[str, int], groups: Sequence[int] | None
) -> Split:
    members: dict[int, list[int]] = {}
    for position, group in enumerate(groups if groups is not None else range(len(samples))):
        members.setdefault(group, []).append(position)
    waiting = sorted(
        members.values(), key=lambda group: min(_rank(seed, samples[position]) for position in group)
    )
    side = {"test": set[int](), "validation": set[int]()}
    for name, count in wanted.items():
        waiting = _fill(side[name], waiting, count)
    if wanted["test"] and not side["test"]:
        raise EmptySplit("test", _one_group(len(samples)))
    if not waiting:
        raise EmptySplit("training", _one_group(len(samples)))

    def part(positions: set[int]) -> tuple[Sample, ...]:
        return tuple(samples[position] for position in sorted(positions))

    train = {position for group in waiting for position in group}
    return Split(part(train), part(side["validation"]), part(side["test"]))


def _fill(taken: set[int], waiting: list[list[int]], count: int) -> list[list[int]]:
    """Move groups that fit into `taken` until it holds `count` rows; returns the groups that are left."""
    left: list[list[int]] = []
    for group in waiting:
        if len(taken) + len(group) <= count:
            taken.update(group)
        else:
            left.append(group)
    if count and not taken and len(left) > 1:
        smallest = min(left, key=len)
        taken.update(smallest)
        left = [group for group in left if group is not smallest]
    return left


def _rank(seed: int, sample: Sample) -> bytes:
    question = question_key(sample) or sample.target or ""
    return hashlib.sha256(f"{seed}:{question}".encode("utf-8", "surrogatepass")).digest()


def _one_group(rows: int) -> str:
    return (
        f"all {rows} rows ask nearly the same question, and such rows are kept on one side; "
        "give a test file of its own, or raise near_duplicate_threshold."
    )
