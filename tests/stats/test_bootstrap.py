from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as oracle

from harness.exceptions import BadValue
from harness.stats import Interval, PairedResult, bootstrap, bootstrap_interval, paired_bootstrap, paired_t
from harness.stats.arrays import FloatArray


def ratio(sums: FloatArray) -> FloatArray:
    result: FloatArray = sums[..., 0] / sums[..., 1]
    return result


def rows(seed: int, n: int = 120) -> FloatArray:
    """Values and a count of 1 each, so that `ratio` is the mean."""
    generator = np.random.default_rng(seed)
    return np.column_stack([generator.normal(0.4, 0.2, n), np.ones(n)])


def test_of_a_mean_it_is_close_to_the_normal_interval() -> None:
    sample = rows(1)
    found = bootstrap_interval(sample, ratio, resamples=20_000)
    mean, error = sample[:, 0].mean(), oracle.sem(sample[:, 0])
    assert found.value == pytest.approx(mean, abs=1e-12)
    # z * se * sqrt((n-1)/n), the bootstrap's own standard error in closed form
    half = 1.959964 * error * math.sqrt(119 / 120)
    assert found.low == pytest.approx(mean - half, abs=0.03 * half)
    assert found.high == pytest.approx(mean + half, abs=0.03 * half)


def test_of_a_ratio_it_agrees_with_scipy() -> None:
    generator = np.random.default_rng(5)
    sample = np.column_stack([generator.poisson(20, 80), generator.poisson(50, 80)]).astype(float)
    expected = oracle.bootstrap(
        (sample[:, 0], sample[:, 1]),
        lambda a, b, axis: a.sum(axis) / b.sum(axis),
        paired=True,
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(11),
    ).confidence_interval
    found = bootstrap_interval(sample, ratio, resamples=20_000)
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.03 * width)
    assert found.high == pytest.approx(expected.high, abs=0.03 * width)


def test_pairs_of_means_agree_with_the_paired_t_test() -> None:
    base = rows(2)
    tuned = base + np.column_stack([np.random.default_rng(3).normal(0.02, 0.1, 120), np.zeros(120)])
    expected = paired_t(tuned[:, 0] - base[:, 0])
    found = paired_bootstrap(base, tuned, ratio, resamples=20_000)
    assert found.n == 120
    assert found.delta == pytest.approx(expected.delta, abs=1e-12)
    assert found.sd == pytest.approx(expected.sd, rel=0.03)
    assert found.p == pytest.approx(expected.p, abs=0.02)
    assert found.low == pytest.approx(expected.low, abs=0.002)
    assert found.high == pytest.approx(expected.high, abs=0.002)


def test_p_counts_the_observed_difference_too() -> None:
    base = rows(4)
    tuned = base + np.array([1.0, 0.0])
    found = paired_bootstrap(base, tuned, ratio, resamples=999)
    # a constant shift: no resample is as far from it as zero is, so c = 0
    assert found.p == pytest.approx(1 / 1000)
    assert found.low == pytest.approx(1.0)
    assert found.high == pytest.approx(1.0)


def test_equal_checkpoints_have_p_one() -> None:
    sample = rows(6)
    found = paired_bootstrap(sample, sample, ratio)
    assert found == PairedResult(0.0, 0.0, 0.0, 1.0, 120, 0.0)


def test_the_seed_decides_and_the_block_size_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    sample, other = rows(8), rows(9)
    whole = paired_bootstrap(sample, other, ratio, seed=3)
    assert paired_bootstrap(sample, other, ratio, seed=3) == whole
    assert paired_bootstrap(sample, other, ratio, seed=4) != whole
    monkeypatch.setattr(bootstrap, "_BLOCK", 7 * 120)
    in_blocks = paired_bootstrap(sample, other, ratio, seed=3)
    assert (in_blocks.low, in_blocks.high, in_blocks.p) == pytest.approx((whole.low, whole.high, whole.p))


@settings(max_examples=25)
@given(st.integers(2, 40), st.integers(0, 2**31))
def test_the_interval_lies_between_the_extreme_rows(n: int, seed: int) -> None:
    sample = rows(seed, n)
    found = bootstrap_interval(sample, ratio, resamples=50, seed=seed)
    assert found.low is not None
    assert found.high is not None
    smallest, largest = float(sample[:, 0].min()), float(sample[:, 0].max())
    assert smallest - 1e-9 <= found.low <= found.high <= largest + 1e-9


def test_too_few_samples_have_no_interval() -> None:
    assert bootstrap_interval(np.empty((0, 2)), ratio) == Interval(None, None, None)
    assert bootstrap_interval([[1.0, 2.0]], ratio) == Interval(0.5, None, None)
    assert paired_bootstrap(np.empty((0, 2)), np.empty((0, 2)), ratio).delta is None
    assert paired_bootstrap([[1.0, 2.0]], [[2.0, 2.0]], ratio) == PairedResult(0.5, None, None, None, 1, None)


def test_bad_input_is_refused() -> None:
    with pytest.raises(BadValue, match="stats"):
        bootstrap_interval([[math.nan, 1.0]], ratio)
    with pytest.raises(BadValue, match="tuned_stats"):
        paired_bootstrap(rows(1, 10), rows(1, 11), ratio)
    with pytest.raises(BadValue, match="resamples"):
        bootstrap_interval(rows(1, 10), ratio, resamples=1)
    with pytest.raises(BadValue, match="level"):
        paired_bootstrap(rows(1, 10), rows(1, 10), ratio, level=2.0)


def test_a_corpus_value_that_is_not_finite_is_refused() -> None:
    with np.errstate(invalid="ignore"), pytest.raises(BadValue, match="corpus value"):
        bootstrap_interval([[0.0, 0.0], [0.0, 0.0]], ratio)
