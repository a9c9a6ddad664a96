from __future__ import annotations

import math

import numpy as np
import pytest
import sacrebleu

from harness.exceptions import BadValue, InputError
from harness.metrics import create_metrics, find_measure
from harness.metrics.aggregate import estimate, measure_of
from harness.metrics.base import FloatArray, Measure
from harness.metrics.runner import score_samples
from harness.records import Estimate, Sample, Score

MEAN = Measure("f1", "F1")
BINARY = Measure("right", "Right", binary=True)
UNSCORED = Score(None, reason="no target")


def test_a_mean_has_a_t_interval() -> None:
    # 0.2, 0.4, 0.6: mean 0.4, sd 0.2; t(2; 0.975) = 4.302653
    found = estimate(MEAN, [Score(0.2), Score(0.4), UNSCORED, Score(0.6)], "f1|x")
    half = 4.302653 * 0.2 / math.sqrt(3)
    assert found.value == pytest.approx(0.4)
    assert (found.low, found.high) == pytest.approx((0.4 - half, 0.4 + half), abs=1e-6)
    assert (found.n, found.scored, found.method, found.level) == (4, 3, "t", 0.95)
    assert (found.measure, found.label, found.signature) == ("f1", "F1", "f1|x")
    assert (found.scale, found.higher_is_better, found.binary) == ((0.0, 1.0), True, False)


def test_a_share_has_wilsons_interval() -> None:
    # Wilson for 8 of 10: [0.49016, 0.94332] (scipy's binomtest); the unscored do not count as wrong
    scores = [Score(1.0)] * 8 + [Score(0.0)] * 2 + [UNSCORED] * 5
    found = estimate(BINARY, scores, "s")
    assert (found.value, found.n, found.scored, found.method) == (0.8, 15, 10, "wilson")
    assert (found.low, found.high) == pytest.approx((0.49016, 0.94332), abs=5e-6)
    assert found.binary


def test_another_level() -> None:
    narrow, wide = (estimate(MEAN, [Score(0.1), Score(0.5), Score(0.6)], "s", level) for level in (0.8, 0.99))
    assert narrow.low is not None
    assert wide.low is not None
    assert wide.low < narrow.low
    assert wide.level == 0.99


def bleu_scores() -> tuple[Measure, list[Score], list[str], list[str]]:
    generator = np.random.default_rng(1)
    targets = [" ".join(generator.choice([*"abcd"], size=generator.integers(5, 20))) for _ in range(25)]
    answers = [target.replace("a", "b")[: generator.integers(2, 60)] for target in targets]
    answers[0] = ""
    metrics = create_metrics(["bleu"])
    samples = [Sample(str(i), "q", target) for i, target in enumerate(targets)]
    scores = [row["bleu"] for row in score_samples(metrics, answers, samples)]
    return find_measure(metrics, "bleu"), scores, answers, targets


def test_a_corpus_measure_is_the_librarys_corpus_value() -> None:
    measure, scores, answers, targets = bleu_scores()
    found = estimate(measure, scores, "BLEU|...", seed=3)
    expected = sacrebleu.corpus_bleu(answers, [targets], force=True).score
    assert found.value == pytest.approx(expected, abs=1e-9)
    assert found.low is not None
    assert found.high is not None
    assert 0.0 <= found.low <= expected <= found.high <= 100.0
    assert (found.method, found.scale) == ("bootstrap", (0.0, 100.0))
    assert estimate(measure, scores, "BLEU|...", seed=3) == found
    assert len({estimate(measure, scores, "BLEU|...", seed=seed).low for seed in range(5)}) > 1


@pytest.mark.parametrize("measure", [MEAN, BINARY, bleu_scores()[0]])
def test_nothing_scored_has_no_value(measure: Measure) -> None:
    for scores in ([], [UNSCORED, UNSCORED]):
        found = estimate(measure, scores, "s")
        assert (found.value, found.low, found.high) == (None, None, None)
        assert (found.n, found.scored) == (len(scores), 0)


def test_one_score_has_a_value_but_no_interval() -> None:
    found = estimate(MEAN, [Score(0.5)], "s")
    assert (found.value, found.low, found.high) == (0.5, None, None)


def test_values_are_plain_floats() -> None:
    measure, scores, _, _ = bleu_scores()
    for found in (estimate(MEAN, [Score(0.2), Score(0.4)], "s"), estimate(measure, scores, "s")):
        assert [type(number) for number in (found.value, found.low, found.high)] == [float] * 3


def test_scores_that_do_not_fit_the_measure_are_refused() -> None:
    measure, scores, _, _ = bleu_scores()
    with pytest.raises(BadValue, match=r"binary measure 'right' is 0\.5"):
        estimate(BINARY, [Score(1.0), Score(0.5)], "s")
    with pytest.raises(BadValue, match="numbers of statistics in the scores of 'bleu'"):
        estimate(measure, [*scores, Score(10.0, (1.0, 2.0))], "s")
    with pytest.raises(BadValue, match="numbers of statistics"):
        estimate(measure, [Score(10.0)], "s")
    with pytest.raises(BadValue, match="finite"):
        estimate(MEAN, [Score(math.nan), Score(0.5)], "s")


def test_the_measure_is_recovered_from_a_stored_estimate() -> None:
    measure, scores, _, _ = bleu_scores()
    for original, given in ((MEAN, [Score(0.2)]), (BINARY, [Score(1.0)]), (measure, scores)):
        assert measure_of(estimate(original, given, "s")) == original


def total(sums: FloatArray) -> FloatArray:
    result: FloatArray = np.asarray(sums)[..., 0]
    return result


def test_a_strangers_corpus_measure_must_be_handed_in() -> None:
    own = Measure("own", "Own", high=10.0, aggregate=total)
    stored: Estimate = estimate(own, [Score(1.0, (1.0,)), Score(2.0, (2.0,))], "s")
    assert stored.value == 3.0
    assert measure_of(stored, [own]) == own
    with pytest.raises(InputError, match="'own' is a function of summed statistics"):
        measure_of(stored)
