from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as oracle

from harness.exceptions import BadValue, InputError
from harness.stats.arrays import check_between, finite, normal_quantile, t_quantile, t_two_sided


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused_by_name(bad: float) -> None:
    with pytest.raises(BadValue, match=r"a number in scores is .*but must be finite"):
        finite([0.5, bad], "scores")


def test_another_shape_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape of rows is \(2,\), but must be 2-dimensional"):
        finite([1.0, 2.0], "rows", dimensions=2)


def test_integers_become_floats() -> None:
    assert finite([1, 2], "x").dtype == np.float64


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 95.0, math.nan])
def test_a_level_outside_zero_to_one_is_refused(level: float) -> None:
    with pytest.raises(BadValue, match="level"):
        check_between(level, "level")


def test_quantiles_equal_scipy_stats() -> None:
    assert normal_quantile(0.975) == pytest.approx(oracle.norm.ppf(0.975), abs=1e-14)
    for degrees in (1, 2, 9, 804):
        assert t_quantile(degrees, 0.975) == pytest.approx(oracle.t.ppf(0.975, degrees), rel=1e-10)
        assert t_two_sided(degrees, -2.5) == pytest.approx(2 * oracle.t.sf(2.5, degrees), rel=1e-10)
