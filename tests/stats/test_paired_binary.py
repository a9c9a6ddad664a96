"""Newcombe's interval and McNemar's mid-p: statsmodels where it knows them, closed forms, coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep

from harness.exceptions import BadValue
from harness.stats import paired_binary
from harness.stats.paired_binary import mcnemar_mid_p, newcombe


def scores(both: int, lost: int, gained: int, neither: int) -> tuple[list[int], list[int]]:
    base = [1] * (both + lost) + [0] * (gained + neither)
    tuned = [1] * both + [0] * lost + [1] * gained + [0] * neither
    return base, tuned


@pytest.mark.parametrize(
    ("both", "lost", "gained", "neither"), [(6, 6, 6, 6), (10, 20, 5, 10), (2, 4, 8, 16)]
)
def test_without_correlation_it_is_the_interval_of_two_independent_shares(
    both: int, lost: int, gained: int, neither: int
) -> None:
    """both * neither == lost * gained; statsmodels' method "newcomb"."""
    n = both + lost + gained + neither
    assert both * neither == lost * gained
    found = newcombe(both, lost, gained, neither)
    low, high = confint_proportions_2indep(both + gained, n, both + lost, n, method="newcomb")
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


@pytest.mark.parametrize(("lost", "gained"), [(121, 59), (28, 72), (5, 0), (1, 9), (3, 4)])
def test_mid_p_is_the_exact_p_less_the_chance_of_this_table(lost: int, gained: int) -> None:
    """Exact p by statsmodels, binomial probability by scipy."""
    exact = mcnemar([[10, lost], [gained, 10]], exact=True).pvalue
    here = stats.binom.pmf(min(lost, gained), lost + gained, 0.5)
    assert mcnemar_mid_p(lost, gained) == pytest.approx(exact - here, rel=1e-9)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_as_many_lost_as_gained_is_no_evidence(count: int) -> None:
    assert mcnemar_mid_p(count, count) == 1.0


def test_where_nothing_changed_the_difference_is_still_not_known_exactly() -> None:
    base, tuned = scores(12, 0, 0, 28)
    found = paired_binary(base, tuned)
    # scipy's Wilson interval of 12 of 40; the correlation with Newcombe's correction is (12 * 28 - 20) / (12 * 28)
    wilson = stats.binomtest(12, 40).proportion_ci(method="wilson")
    left, right, phi = 0.3 - wilson.low, wilson.high - 0.3, (12 * 28 - 20) / (12 * 28)
    half = math.sqrt(left**2 - 2 * phi * left * right + right**2)
    assert (found.delta, found.p, found.n) == (0.0, 1.0, 40)
    assert (found.low, found.high) == (pytest.approx(-half, abs=1e-9), pytest.approx(half, abs=1e-9))
    assert found.sd == pytest.approx(half / stats.norm.ppf(0.975) * math.sqrt(40), rel=1e-9)


def test_sides_turned_round_turn_the_interval_round() -> None:
    one, other = newcombe(30, 9, 3, 18), newcombe(30, 3, 9, 18)
    assert (one.low, one.high) == (pytest.approx(-(other.high or 0)), pytest.approx(-(other.low or 0)))


def test_no_samples_give_nothing_and_one_sample_gives_little() -> None:
    assert paired_binary([], []).delta is None
    found = paired_binary([0], [1])
    assert found.delta == 1.0
    assert found.low is not None
    assert found.low < 0


def test_the_interval_stays_on_the_scale() -> None:
    found = paired_binary([0] * 4, [1] * 4)
    assert (found.low or 0) > 0
    assert found.high == 1.0


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """4,000 draws of 40 pairs, 12 % changed, more lost than gained; the t interval is too short here."""
    rng = np.random.default_rng(11)
    shares = {"both": 0.28, "lost": 0.08, "gained": 0.04, "neither": 0.60}
    tables = rng.multinomial(40, list(shares.values()), size=4000)
    truth = shares["gained"] - shares["lost"]
    covered = 0
    for table in tables:
        found = newcombe(*map(int, table))
        covered += (found.low or 0) <= truth <= (found.high or 0)
    assert 0.94 <= covered / 4000 <= 0.99


@pytest.mark.parametrize(("base", "tuned"), [([0, 2], [0, 1]), ([0, 1], [0.5, 1]), ([0], [0, 1])])
def test_other_scores_are_refused(base: list[float], tuned: list[float]) -> None:
    with pytest.raises(BadValue):
        paired_binary(base, tuned)
