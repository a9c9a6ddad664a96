"""What every statistic checks of its input (finite numbers, shape, level), and the quantiles it needs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harness.exceptions import BadValue

FloatArray = npt.NDArray[np.float64]


def finite(values: npt.ArrayLike, name: str, dimensions: int = 1) -> FloatArray:
    """`values` as float64 with `dimensions` axes.

    Raises BadValue on NaN, infinity, or another shape: leaving numbers out is the caller's decision,
    never that of a statistic.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != dimensions:
        raise BadValue(f"shape of {name}", array.shape, f"{dimensions}-dimensional")
    wrong = ~np.isfinite(array)
    if wrong.any():
        first = float(array[wrong][0])
        raise BadValue(f"a number in {name}", first, "finite (NaN and infinity have no mean)")
    return array


def check_between(value: float, name: str) -> float:
    """`value` if it lies strictly between 0 and 1, as levels and powers do; otherwise BadValue."""
    if not 0.0 < value < 1.0:
        raise BadValue(name, value, "between 0 and 1, for example 0.95")
    return value


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution."""
    from scipy.special import ndtri

    return float(ndtri(probability))


def t_quantile(degrees: int, probability: float) -> float:
    """Quantile of Student's t with `degrees` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, probability))


def t_two_sided(degrees: int, statistic: float) -> float:
    """Two-sided p-value of a t statistic with `degrees` degrees of freedom."""
    from scipy.special import stdtr

    return float(2.0 * stdtr(degrees, -abs(statistic)))


def t_tail(statistics: FloatArray, degrees: int) -> FloatArray:
    """Probability that a t variable with `degrees` degrees of freedom exceeds each of `statistics`."""
    from scipy.special import stdtr

    return np.asarray(stdtr(degrees, -statistics), dtype=np.float64)
