from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from harness.exceptions import StageFailed
from harness.models.memory import halving


def doubled(most: int, problem: Exception) -> tuple[list[int], list[int]]:
    sizes: list[int] = []

    def run(rows: Sequence[int]) -> list[int]:
        sizes.append(len(rows))
        if len(rows) > most:
            raise problem
        return [2 * row for row in rows]

    return halving(run, range(7)), sizes


@pytest.mark.parametrize(
    "problem",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"),
    ],
)
def test_halves_until_it_fits_and_keeps_the_order(problem: Exception) -> None:
    found, sizes = doubled(2, problem)
    assert found == [0, 2, 4, 6, 8, 10, 12]
    assert sizes == [7, 3, 1, 2, 4, 2, 2]


def test_one_row_that_does_not_fit_raises() -> None:
    with pytest.raises(StageFailed, match="one sample alone does not fit into memory"):
        doubled(0, torch.OutOfMemoryError("out of memory"))


def test_another_problem_is_passed_on_at_once() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        doubled(2, RuntimeError("shapes do not fit"))
