from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle
from statsmodels.stats.proportion import proportion_confint

from harness.exceptions import BadValue
from harness.stats import Interval, t_interval, wilson

SCORES = st.lists(st.floats(-100, 100), min_size=2, max_size=60)


def test_wilson_of_8_in_10() -> None:
    # scipy.stats.binomtest(8, 10).proportion_ci(method="wilson"), also in Brown, Cai and DasGupta's form
    found = wilson(8, 10)
    assert found.value == 0.8
    assert found.low == pytest.approx(0.49016, abs=5e-6)
    assert found.high == pytest.approx(0.94332, abs=5e-6)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (1, 30), (7, 12), (499, 1000)])
def test_wilson_equals_scipy_and_statsmodels(k: int, n: int, level: float) -> None:
    found = wilson(k, n, level)
    expected = oracle.binomtest(k, n).proportion_ci(level, method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    bounds = proportion_confint(k, n, alpha=1 - level, method="wilson")
    assert (found.low, found.high) == pytest.approx(bounds, abs=1e-12)


def test_wilson_bounds_are_exact_at_the_ends() -> None:
    assert wilson(0, 7).low == 0.0
    assert wilson(7, 7).high == 1.0


def test_wilson_of_nothing_is_undefined() -> None:
    assert wilson(0, 0) == Interval(None, None, None)


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, -1)])
def test_wilson_refuses_impossible_counts(k: int, n: int) -> None:
    with pytest.raises(BadValue):
        wilson(k, n)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_mirrors_and_stays_on_the_scale(counts: tuple[int, int]) -> None:
    k, n = counts
    found, mirrored = wilson(k, n), wilson(n - k, n)
    assert found.low is not None
    assert found.high is not None
    assert mirrored.low is not None
    assert 0.0 <= found.low <= k / n <= found.high <= 1.0
    assert found.high == pytest.approx(1.0 - mirrored.low, abs=1e-12)


def test_t_interval_by_hand() -> None:
    # mean 2, sd 1, se 1/sqrt(3), t(2; 0.975) = 4.302653 (any t table)
    found = t_interval([1.0, 2.0, 3.0])
    assert found.value == 2.0
    assert found.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-6)
    assert found.high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-6)


@given(SCORES, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_t_interval_equals_scipy(values: list[float], level: float) -> None:
    error = float(oracle.sem(values))
    if error < 1e-9:
        return
    expected = oracle.t.interval(level, len(values) - 1, loc=sum(values) / len(values), scale=error)
    found = t_interval(values, level)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-8, abs=1e-9)


@given(SCORES)
def test_a_higher_level_is_wider(values: list[float]) -> None:
    narrow, wide = t_interval(values, 0.8), t_interval(values, 0.99)
    assert narrow.low is not None
    assert narrow.high is not None
    assert wide.low is not None
    assert wide.high is not None
    assert wide.low <= narrow.low <= narrow.high <= wide.high


def test_t_interval_of_few_and_of_equal_values() -> None:
    assert t_interval([]) == Interval(None, None, None)
    assert t_interval([0.3]) == Interval(0.3, None, None)
    # the mean of ten times 0.1 is not 0.1 in floating point; the interval must not depend on that
    assert t_interval([0.1] * 10) == Interval(0.1, 0.1, 0.1)


def test_t_interval_is_not_clipped_to_the_scale() -> None:
    found = t_interval([1.0, 1.0, 0.0])
    assert found.high is not None
    assert found.high > 1.0


def test_t_interval_refuses_nan_and_bad_levels() -> None:
    with pytest.raises(BadValue, match="finite"):
        t_interval([0.1, math.nan])
    with pytest.raises(BadValue, match="level"):
        t_interval([0.1, 0.2], level=1.0)
    with pytest.raises(BadValue, match="level"):
        wilson(1, 2, level=0.0)
