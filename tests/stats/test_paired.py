from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from harness.exceptions import BadValue
from harness.stats import PairedResult, paired_t

DATA = os.environ.get("HARNESS_DATA_DIR")


def preferences(model: str) -> dict[int, float]:
    assert DATA is not None
    path = Path(DATA) / "preferences" / f"{model}.jsonl"
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row["prompt_id"]: row["preference"] for row in rows}


@pytest.mark.skipif(DATA is None, reason="HARNESS_DATA_DIR is not set: the preference data are not at hand")
def test_two_models_on_805_real_prompts() -> None:
    # shared references, statistics.md section 1: computed with scipy from AlpacaEval 2 annotations
    base, tuned = preferences("gpt-3.5-turbo-0301"), preferences("claude-2.1")
    differences = [tuned[key] - base[key] for key in sorted(base.keys() & tuned.keys())]
    found = paired_t(differences)
    assert found.n == 805
    assert found.sd is not None
    assert found.delta == pytest.approx(0.0611105, abs=5e-8)
    assert found.sd / math.sqrt(found.n) == pytest.approx(0.0108325, abs=5e-8)
    assert found.p == pytest.approx(2.34e-8, rel=2e-3)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=50))
def test_equals_scipy_ttest_1samp(differences: list[float]) -> None:
    if np.std(differences) < 1e-6:
        return
    expected = oracle.ttest_1samp(differences, 0.0)
    interval = expected.confidence_interval(0.95)
    found = paired_t(differences)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-7, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-7, abs=1e-9)


def mirrored_value(value: float | None) -> float | None:
    return None if value is None else pytest.approx(-value, abs=1e-12)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=50))
def test_turning_the_sign_mirrors_everything(differences: list[float]) -> None:
    found, mirrored = paired_t(differences), paired_t([-d for d in differences])
    assert mirrored.delta == pytest.approx(-(found.delta or 0.0), abs=1e-12)
    assert mirrored.low == mirrored_value(found.high)
    assert mirrored.p == pytest.approx(found.p)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=50))
def test_p_below_alpha_exactly_where_the_interval_leaves_zero_out(differences: list[float]) -> None:
    found = paired_t(differences)
    assert found.p is not None
    if found.low is None or found.high is None:
        assert found.p > 0.05
    elif abs(found.p - 0.05) > 1e-9:
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_equal_differences() -> None:
    assert paired_t([0.0, 0.0, 0.0]) == PairedResult(0.0, 0.0, 0.0, 1.0, 3, 0.0)
    # the sign test: ten of ten on one side, 2 / 2**10
    assert paired_t([0.1] * 10) == PairedResult(0.1, 0.1, 0.1, 1 / 512, 10, 0.0)
    assert paired_t([1.0, 1.0]) == PairedResult(1.0, None, None, 0.5, 2, 0.0)


def test_too_few_pairs_have_no_interval() -> None:
    assert paired_t([]) == PairedResult(None, None, None, None, 0, None)
    assert paired_t([0.5]) == PairedResult(0.5, None, None, None, 1, None)


def test_refuses_nan() -> None:
    with pytest.raises(BadValue, match="differences"):
        paired_t([0.1, math.nan])
