from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import NormalIndPower, TTestPower

from harness.exceptions import BadValue
from harness.stats import detectable_delta, samples_needed


def test_the_example_of_miller() -> None:
    # Miller 2024 (arXiv 2411.00640): variance of differences 1/9, delta 3 points, 80 % power: 969 questions
    assert samples_needed(1 / 3, 0.03) == 969


def test_detectable_differences_of_198_questions() -> None:
    # statistics.md section 1: omega^2 = 1/9, sigma^2 = 1/6 on each side, K = 1 and K = 10 answers a question
    assert detectable_delta(math.sqrt(1 / 9 + 2 / 6), 198) == pytest.approx(0.133, abs=5e-4)
    assert detectable_delta(math.sqrt(1 / 9 + 2 / 60), 198) == pytest.approx(0.076, abs=5e-4)


def test_against_statsmodels() -> None:
    # one sample is two samples with the second infinitely large; the t version needs about two samples more
    normal = NormalIndPower().solve_power(0.2, alpha=0.05, power=0.8, ratio=0)
    assert samples_needed(1.0, 0.2) == math.ceil(normal)
    student = TTestPower().solve_power(0.2, alpha=0.05, power=0.8)
    assert 0 < student - samples_needed(1.0, 0.2) < 3


@given(st.floats(0.01, 10), st.floats(0.01, 1))
def test_the_two_are_inverse(sd: float, delta: float) -> None:
    needed = samples_needed(sd, delta)
    assert detectable_delta(sd, needed) <= delta * (1 + 1e-12)
    if needed > 1:
        assert detectable_delta(sd, needed - 1) > delta * (1 - 1e-12)


def test_impossible_questions_are_refused() -> None:
    for delta in (0.0, math.nan, math.inf):
        with pytest.raises(BadValue, match="delta"):
            samples_needed(1.0, delta)
    with pytest.raises(BadValue, match="sd"):
        samples_needed(-1.0, 0.1)
    with pytest.raises(BadValue, match="sd"):
        detectable_delta(math.nan, 10)
    with pytest.raises(BadValue, match="n is 0"):
        detectable_delta(1.0, 0)
    with pytest.raises(BadValue, match="power"):
        samples_needed(1.0, 0.1, power=1.0)
    with pytest.raises(BadValue, match="level"):
        samples_needed(1.0, 0.1, level=0.0)
