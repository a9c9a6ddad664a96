from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.models.batches import common_prefix, plan_batches

LENGTHS = st.lists(st.integers(1, 300), max_size=60)
ROWS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), min_size=1, max_size=6)


@given(LENGTHS, st.integers(1, 600), st.integers(1, 9))
def test_every_request_is_in_exactly_one_batch_and_batches_keep_their_limits(
    lengths: list[int], budget: int, max_rows: int
) -> None:
    batches = plan_batches(lengths, budget, max_rows)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert 1 <= len(batch) <= max_rows
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= budget


@given(LENGTHS, st.integers(1, 600), st.integers(1, 9))
def test_longest_first_ties_in_order_and_no_batch_could_have_taken_the_next(
    lengths: list[int], budget: int, max_rows: int
) -> None:
    batches = plan_batches(lengths, budget, max_rows)
    flat = [index for batch in batches for index in batch]
    assert flat == sorted(flat, key=lambda index: (-lengths[index], index))
    for batch in batches[:-1]:
        assert len(batch) == max_rows or (len(batch) + 1) * lengths[batch[0]] > budget


@given(LENGTHS, st.integers(1, 600), st.integers(1, 9))
def test_the_plan_is_the_same_each_time(lengths: list[int], budget: int, max_rows: int) -> None:
    assert plan_batches(lengths, budget, max_rows) == plan_batches(tuple(lengths), budget, max_rows)


def test_a_plan_by_hand() -> None:
    # sorted: 9 (index 3), 5 (1), 5 (4), 2 (0), 1 (2). 2 rows x 9 = 18 > 16; 3 rows x 5 = 15, 4 x 5 = 20 > 16.
    assert plan_batches([2, 5, 1, 9, 5], budget=16, max_rows=10) == [[3], [1, 4, 0], [2]]
    assert plan_batches([], 16, 10) == []


@given(ROWS)
def test_the_common_prefix_is_shared_and_as_long_as_can_be(rows: list[list[int]]) -> None:
    found = common_prefix(rows)
    assert all(row[:found] == rows[0][:found] for row in rows)
    assert all(len(row) > found for row in rows)
    longer = found + 1
    assert any(row[:longer] != rows[0][:longer] for row in rows) or any(len(row) == longer for row in rows)


def test_common_prefixes_by_hand() -> None:
    assert common_prefix([[1, 2, 3], [1, 2, 4]]) == 2
    assert common_prefix([[1, 2], [1, 2]]) == 1  # one token of each row stays
    assert common_prefix([[7]]) == 0
    assert common_prefix([[1], []]) == 0
    assert common_prefix([]) == 0
