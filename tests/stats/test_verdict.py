from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.exceptions import BadValue
from harness.records import Verdict
from harness.stats import Decision, PairedResult, decide, paired_t, samples_needed


def result(low: float, high: float, n: int = 100, sd: float = 1.0) -> PairedResult:
    return PairedResult((low + high) / 2, low, high, 0.5, n, sd)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.05, Decision(Verdict.BETTER)),
        (-0.09, -0.01, Decision(Verdict.WORSE)),
        (-0.015, -0.005, Decision(Verdict.WORSE, within_tolerance=True)),
        (-0.01, 0.05, Decision(Verdict.NO_WORSE)),
        (0.0, 0.0, Decision(Verdict.NO_WORSE)),
        (0.0, 0.05, Decision(Verdict.NO_WORSE)),
        (-0.015, 0.0, Decision(Verdict.NO_WORSE)),
    ],
)
def test_the_order_of_the_rules(low: float, high: float, expected: Decision) -> None:
    assert decide(result(low, high), tolerance=0.02) == expected


def test_the_tolerance_itself_is_not_left_out() -> None:
    assert decide(result(-0.02, 0.01), tolerance=0.02).verdict is Verdict.NOT_DECIDED
    assert decide(result(-0.02, -0.01), tolerance=0.02) == Decision(Verdict.WORSE)


def test_broken_comes_first() -> None:
    assert decide(result(0.01, 0.05), tolerance=0.02, nonfinite=1) == Decision(Verdict.BROKEN)


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 0.5))
def test_where_lower_is_better_the_sign_turns(middle: float, half: float, tolerance: float) -> None:
    low, high = middle - half, middle + half
    mirrored = result(-high, -low)
    assert decide(result(low, high), tolerance) == decide(mirrored, tolerance, higher_is_better=False)


def test_without_an_interval_nothing_is_decided() -> None:
    assert decide(paired_t([0.5]), tolerance=0.02) == Decision(Verdict.NOT_DECIDED)
    assert decide(paired_t([]), tolerance=0.02) == Decision(Verdict.NOT_DECIDED)


def test_needed_takes_the_shorter_way() -> None:
    # delta 0.03, sd 1/3: 969 samples to leave zero out (Miller 2024); with a tolerance of 0.03 the distance
    # to -tolerance is 0.06, a quarter of that: 968.997 / 4 = 242.25
    wide = PairedResult(0.03, -0.05, 0.11, 0.4, 60, 1 / 3)
    assert decide(wide, tolerance=0.0).needed == 969 - 60
    assert decide(wide, tolerance=0.03).needed == 243 - 60
    # delta -0.03 with tolerance 0.01 lies beyond the tolerance: only "worse" can be decided
    assert decide(PairedResult(-0.03, -0.11, 0.05, 0.4, 60, 1 / 3), tolerance=0.01).needed == 969 - 60


def test_needed_is_at_least_one() -> None:
    few = PairedResult(0.03, -0.05, 0.11, 0.4, 5000, 1 / 3)
    assert decide(few, tolerance=0.0).needed == 1


def test_needed_is_not_guessed() -> None:
    assert decide(paired_t([0.0, 0.0]), tolerance=0.0) == Decision(Verdict.NOT_DECIDED)
    assert decide(PairedResult(0.0, -1.0, 1.0, 1.0, 9, 1.0), tolerance=0.0).needed is None
    assert decide(PairedResult(1e-300, -1.0, 1.0, 1.0, 9, 1.0), tolerance=0.0).needed is None
    assert decide(PairedResult(0.1, -1.0, 1.0, 1.0, 9, None), tolerance=0.0).needed is None


def test_a_tolerance_must_make_sense() -> None:
    for bad in (-0.1, math.nan, math.inf):
        with pytest.raises(BadValue, match="tolerance"):
            decide(result(0.0, 1.0), tolerance=bad)


def test_the_promised_samples_decide_four_times_in_five() -> None:
    generator = np.random.default_rng(7)
    needed = samples_needed(1.0, 0.25)
    decided = sum(
        decide(paired_t(generator.normal(0.25, 1.0, needed)), tolerance=0.0).verdict is Verdict.BETTER
        for _ in range(800)
    )
    # 80 % power by the normal formula, half a point less by t; 3 standard errors are 4 points
    assert decided / 800 == pytest.approx(0.795, abs=0.045)
