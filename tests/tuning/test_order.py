from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.tuning.order import epoch_order, log_interval, steps_per_epoch


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 9), st.integers(0, 3))
def test_every_sample_once(lengths: list[int], batch: int, epoch: int) -> None:
    assert sorted(epoch_order(lengths, batch, 1, epoch)) == list(range(len(lengths)))


def test_order_depends_on_seed_and_epoch_only() -> None:
    lengths = list(range(1, 101))
    first = epoch_order(lengths, 8, 1, 0)
    assert first == epoch_order(lengths, 8, 1, 0)
    assert first != epoch_order(lengths, 8, 1, 1)
    assert first != epoch_order(lengths, 8, 2, 0)


def test_batches_hold_like_lengths() -> None:
    lengths = [(i * 37) % 100 + 1 for i in range(83)]
    order = epoch_order(lengths, 8, 1, 0)
    batches = [[lengths[i] for i in order[at : at + 8]] for at in range(0, 80, 8)]
    # Sorted together, 80 lengths cut into ten batches span disjoint ranges.
    spans = sorted((min(batch), max(batch)) for batch in batches)
    assert all(spans[i][1] <= spans[i + 1][0] for i in range(9))
    assert spans != [(min(batch), max(batch)) for batch in batches], "batches must come in random order"


def test_steps_round_up() -> None:
    # 10 samples in batches of 4 make 3 batches; two a step make 2 steps.
    assert steps_per_epoch(10, 4, 1) == 3
    assert steps_per_epoch(10, 4, 2) == 2


@given(st.integers(1, 500), st.integers(1, 5000))
def test_log_interval_divides(save_every: int, steps: int) -> None:
    assert save_every % log_interval(save_every, steps) == 0


def test_log_interval_values() -> None:
    assert [log_interval(n, 100) for n in (1, 7, 12, 50)] == [1, 1, 4, 5]
    assert log_interval(50, 2500) == 25
