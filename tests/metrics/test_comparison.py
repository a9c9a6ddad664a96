from __future__ import annotations

import dataclasses
import math

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from harness.exceptions import BadValue, InputError
from harness.metrics import create_metrics, find_measure
from harness.metrics.aggregate import estimate
from harness.metrics.base import Measure
from harness.metrics.comparison import Place, Rules, Side, adjust, compare_measure
from harness.metrics.runner import score_samples
from harness.records import MetricComparison, Sample, Score, Verdict

MEAN = Measure("f1", "F1")
UNSCORED = Score(None, reason="no target")
PLACE = Place("held_out")


def side(measure: Measure, values: list[float | None], signature: str = "s") -> Side:
    scores = [UNSCORED if value is None else Score(value) for value in values]
    return Side(estimate(measure, scores, signature), scores)


def compare(
    base: list[float | None], tuned: list[float | None], rules: Rules | None = None, measure: Measure = MEAN
) -> MetricComparison:
    return compare_measure(measure, side(measure, base), side(measure, tuned), PLACE, rules)


def test_a_mean_is_compared_by_the_paired_t_test() -> None:
    base = [0.10, 0.20, 0.30, 0.40, 0.55, 0.60]
    tuned = [0.20, 0.25, 0.45, 0.40, 0.70, 0.50]
    expected = oracle.ttest_rel(tuned, base)
    interval = expected.confidence_interval(0.95)
    found = compare([*base], [*tuned])
    assert found.delta == pytest.approx(sum(tuned) / 6 - sum(base) / 6)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert (found.wins, found.losses, found.ties, found.n) == (4, 1, 1, 6)
    assert (found.test, found.task, found.measure, found.label) == ("paired t", "held_out", "f1", "F1")
    assert (found.p_adjusted, found.primary, found.tolerance, found.level) == (None, False, 0.02, 0.95)


def test_only_samples_scored_on_both_sides_are_pairs() -> None:
    found = compare([0.1, None, 0.3, 0.5], [0.2, 0.9, None, 0.7])
    assert found.n == 2
    assert found.delta == pytest.approx(0.15)
    assert (found.base.scored, found.tuned.scored) == (3, 3)


def test_verdicts() -> None:
    low = [0.1 + 0.001 * (i % 5) for i in range(40)]
    high = [0.3 + 0.001 * (i % 7) for i in range(40)]
    assert compare([*low], [*high]).verdict is Verdict.BETTER
    worse = compare([*high], [*low])
    assert (worse.verdict, worse.within_tolerance) == (Verdict.WORSE, False)
    assert compare([*high], [*low], Rules(tolerance=0.5)).within_tolerance
    assert compare([*low], [*low]).verdict is Verdict.NO_WORSE
    assert compare([*low], [*low], Rules(tolerance=0.0)).verdict is Verdict.NOT_DECIDED


def test_not_decided_says_how_many_more() -> None:
    # differences +-1 and one 0.3: far too few to say anything
    base: list[float | None] = [0.0, 1.0, 0.0, 1.0, 0.0]
    tuned: list[float | None] = [1.0, 0.0, 1.0, 0.0, 0.3]
    found = compare(base, tuned, Rules(tolerance=0.04))
    sd = math.sqrt((2 * (1 - 0.06) ** 2 + 2 * (1 + 0.06) ** 2 + (0.3 - 0.06) ** 2) / 4)
    # (1.959964 + 0.841621)^2 sd^2 / (delta + tolerance)^2, less the five there are
    assert found.verdict is Verdict.NOT_DECIDED
    assert found.needed == math.ceil((2.801585 * sd / 0.1) ** 2) - 5


def test_broken_comes_first() -> None:
    parts = side(MEAN, [0.1, 0.2, 0.3]), side(MEAN, [0.5, 0.7, 0.6])
    found = compare_measure(MEAN, *parts, Place("t", primary=True), nonfinite=2)
    assert found.verdict is Verdict.BROKEN
    assert found.primary


def test_where_lower_is_better_a_fall_is_a_win() -> None:
    measure = Measure("loss", "Loss", 0.0, 10.0, higher_is_better=False)
    found = compare([3.0, 4.0, 5.0, 6.0], [2.0, 3.1, 4.2, 4.9], measure=measure)
    assert found.verdict is Verdict.BETTER
    assert (found.wins, found.losses) == (4, 0)
    assert found.delta is not None
    assert found.delta < 0


def test_the_tolerance_is_a_share_of_the_range() -> None:
    measure = Measure("score", "Score", 0.0, 100.0)
    base: list[float | None] = [50.0 + i % 3 for i in range(60)]
    tuned: list[float | None] = [50.0 + (i + 1) % 3 for i in range(60)]
    assert compare(base, tuned, Rules(tolerance=0.02), measure).verdict is Verdict.NO_WORSE
    assert compare(base, tuned, Rules(tolerance=0.0002), measure).verdict is Verdict.NOT_DECIDED


def test_two_ways_of_rounding_are_a_tie() -> None:
    found = compare([0.1 + 0.2, 0.5], [0.3, 0.5])
    assert (found.wins, found.losses, found.ties) == (0, 0, 2)


@pytest.mark.parametrize("values", [[], [0.5], [None]])
def test_too_few_pairs_decide_nothing(values: list[float | None]) -> None:
    found = compare(values, values)
    assert (found.low, found.high, found.p, found.needed) == (None, None, None, None)
    assert found.verdict is Verdict.NOT_DECIDED


def corpus_sides() -> tuple[Measure, Side, Side, list[list[str]]]:
    targets = [f"the cat number {i} sat on the mat in room {i % 4}" for i in range(30)]
    base = [f"a cat {i} was on a mat" for i in range(30)]
    tuned = [target[: 25 + i] + " and so on" * (i % 4) for i, target in enumerate(targets)]
    metrics = create_metrics(["bleu"])
    samples = [Sample(str(i), "q", target) for i, target in enumerate(targets)]
    sides = []
    for answers in (base, tuned):
        scores = [row["bleu"] for row in score_samples(metrics, answers, samples)]
        sides.append(Side(estimate(find_measure(metrics, "bleu"), scores, "BLEU"), scores))
    return find_measure(metrics, "bleu"), sides[0], sides[1], [base, tuned, targets]


def test_a_corpus_measure_is_compared_by_its_corpus_values() -> None:
    measure, base, tuned, (first, second, targets) = corpus_sides()
    found = compare_measure(measure, base, tuned, PLACE)
    values = [sacrebleu.corpus_bleu(answers, [targets], force=True).score for answers in (first, second)]
    assert found.delta == pytest.approx(values[1] - values[0], abs=1e-9)
    assert (found.test, found.verdict, found.wins, found.n) == ("paired bootstrap", Verdict.BETTER, 30, 30)
    assert found.p == pytest.approx(1 / 2001)
    assert found.low is not None
    assert found.high is not None
    assert found.delta is not None
    assert 0 < found.low < found.delta < found.high
    assert compare_measure(measure, base, tuned, PLACE, Rules(seed=5)).high != found.high


def test_a_corpus_measure_over_the_pairs_alone() -> None:
    measure, base, tuned, (first, second, targets) = corpus_sides()
    scores = [UNSCORED if i < 10 else score for i, score in enumerate(tuned.scores)]
    found = compare_measure(measure, base, Side(tuned.estimate, scores), PLACE)
    values = [sacrebleu.corpus_bleu(a[10:], [targets[10:]], force=True).score for a in (first, second)]
    assert found.n == 20
    assert found.delta == pytest.approx(values[1] - values[0], abs=1e-9)


def test_what_does_not_mean_the_same_is_refused() -> None:
    base = side(MEAN, [0.1, 0.2])
    with pytest.raises(InputError, match="base has the signature 's', tuned 'other'"):
        compare_measure(MEAN, base, side(MEAN, [0.1, 0.2], "other"), PLACE)
    wide = side(Measure("f1", "F1", 0.0, 100.0), [0.1, 0.2])
    with pytest.raises(InputError, match="has the scale"):
        compare_measure(MEAN, base, wide, PLACE)
    with pytest.raises(BadValue, match="number of tuned scores is 1"):
        compare_measure(MEAN, base, Side(base.estimate, base.scores[:1]), PLACE)


@pytest.mark.parametrize("tolerance", [-0.1, 1.1, math.nan])
def test_rules_must_make_sense(tolerance: float) -> None:
    with pytest.raises(BadValue, match="tolerance"):
        Rules(tolerance=tolerance)
    with pytest.raises(BadValue, match="level"):
        Rules(level=95)


def test_holm_over_the_family() -> None:
    # statistics.md, section 1
    one = compare([0.1, 0.2], [0.2, 0.4])
    family = [dataclasses.replace(one, p=p) for p in (0.01, 0.04, None, 0.03, 0.005, 0.2)]
    adjusted = [comparison.p_adjusted for comparison in adjust(family)]
    assert adjusted[2] is None
    assert [p for p in adjusted if p is not None] == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.2])


PAIRS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=30)


@given(PAIRS)
def test_swapping_the_sides_mirrors_the_result(pairs: list[tuple[float, float]]) -> None:
    base: list[float | None] = [b for b, _ in pairs]
    tuned: list[float | None] = [t for _, t in pairs]
    found, mirrored = compare(base, tuned), compare(tuned, base)
    assert (found.wins, found.losses, found.ties) == (mirrored.losses, mirrored.wins, mirrored.ties)
    assert found.wins + found.losses + found.ties == found.n == len(pairs)
    assert mirrored.delta == pytest.approx(-(found.delta or 0.0), abs=1e-12)
