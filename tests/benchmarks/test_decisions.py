"""Which numbers must be exact: margins by hand, tails from scipy, and what simulated rounding does to decisions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.benchmarks.decisions import (
    Errors,
    Question,
    Scores,
    below_the_bound,
    broken,
    first_questions,
    margins,
    uncertain_shares,
    unsure_first,
)


def plain(*places: int) -> Question:
    return Question(places, lengths=((1.0,) * len(places),))


def test_margins_are_differences_to_the_winner_by_the_root_of_the_rounded_tokens() -> None:
    scores = Scores([-1.0, -4.0, -2.0], tokens=[4, 5, 12])
    found = margins([plain(0, 1, 2)], scores)
    assert [(m.ratio, m.places) for m in found] == [
        (pytest.approx(1 / math.sqrt(4 + 12)), (0, 2)),
        (pytest.approx(3 / math.sqrt(4 + 5)), (0, 1)),
    ]


def test_each_decision_has_its_own_winner_and_divisors() -> None:
    scores = Scores([-3.0, -4.0], tokens=[1, 1])
    question = Question((0, 1), lengths=((1.0, 1.0), (2.0, 8.0)))
    found = {m.places: m.ratio for m in margins([question], scores)}
    assert found[0, 1] == pytest.approx(1 / math.sqrt(2))
    # for each character: -1.5 against -0.5, errors of 1/2 and 1/8
    assert found[1, 0] == pytest.approx(1 / math.sqrt(1 / 4 + 1 / 64))


def test_exact_numbers_have_no_error_and_two_of_them_no_margin() -> None:
    scores = Scores([-1.0, -2.0, -4.0], tokens=[9, 9, 16], exact={0, 1})
    assert [m.ratio for m in margins([plain(0, 1, 2)], scores)] == [pytest.approx(3 / math.sqrt(16))]
    scores.take({2: -4.5})
    assert margins([plain(0, 1, 2)], scores) == []


def test_numbers_that_are_not_finite_have_no_margin_and_are_asked_again_with_their_whole_question() -> None:
    scores = Scores([-1.0, math.nan, -2.0, -3.0], tokens=[1] * 4)
    questions = [plain(0, 1), plain(2, 3)]
    assert {m.question for m in margins(questions, scores)} == {1}
    assert set(broken(questions, scores)) == {0, 1}
    assert set(broken(questions, Scores(scores.values, [1] * 4, exact={0, 1}))) == set()


def test_the_spread_is_the_root_mean_square_of_standardised_differences() -> None:
    errors = Errors()
    assert errors.spread == math.inf
    # errors .3, -.1 and 0; the first wins: differences .4 by root 4+5 and .3 by root 4+12
    errors.add([-0.7, -3.1, -4.0], [-1.0, -3.0, -4.0], [4, 5, 12])
    assert errors.spread == pytest.approx(math.sqrt((0.4**2 / 9 + 0.3**2 / 16) / 2))
    errors.add([-1.0], [-2.0], [1])  # one choice has no difference
    errors.add([-1.0, math.inf], [-2.0, -3.0], [1, 1])
    assert (errors.differences, errors.questions) == (2, 1)


@pytest.mark.parametrize(("questions", "freedom"), [(2, 1), (6, 5), (30, 10)])
def test_the_chance_of_a_wrong_decision_is_a_t_tail(questions: int, freedom: int) -> None:
    errors = Errors(squares=0.04, differences=4, questions=questions)
    ratios = np.array([0.0, 0.1, 0.5])
    assert errors.wrong(ratios) == pytest.approx(stats.t.sf(ratios / 0.1, freedom), rel=1e-12)


def test_without_errors_nothing_is_known_and_with_none_seen_nothing_can_go_wrong() -> None:
    assert Errors().wrong(np.array([1.0, 9.0])).tolist() == [0.5, 0.5]
    assert Errors(0.0, 5, 3).wrong(np.array([0.1])).tolist() == [0.0]


def test_the_bound_leaves_one_wrong_decision_in_a_thousand_samples() -> None:
    errors = Errors(squares=0.01, differences=1, questions=100)
    scores = Scores([0.0, -0.05, 0.0, -0.31, 0.0, -9.0], tokens=[1] * 6)
    questions = [plain(0, 1), plain(2, 3), plain(4, 5)]
    found = margins(questions, scores)
    chances = stats.t.sf([0.31 / math.sqrt(2) / 0.1, 9 / math.sqrt(2) / 0.1], 10)
    assert chances.sum() > 3 / 1000  # so that the second must be asked, too
    places, left = below_the_bound(found, errors, samples=3)
    assert places == {0, 1, 2, 3}
    assert left == pytest.approx(chances[1], abs=1e-9)
    places, left = below_the_bound(found, errors, samples=100)
    assert places == {0, 1}
    assert left == pytest.approx(chances.sum(), rel=1e-6)


def test_the_first_questions_are_those_with_the_smallest_margins() -> None:
    scores = Scores([0, -3.0, 0, -1.0, 0, -2.0], tokens=[1] * 6)
    found = margins([plain(0, 1), plain(2, 3), plain(4, 5)], scores)
    assert first_questions(found) == [1, 2, 0]


def test_few_decisions_change_under_rounding_of_the_size_that_was_learnt() -> None:
    """Of 4,000 questions, 16 are learnt from; the rest above the bound keep the exact winner but for one or two."""
    rng = np.random.default_rng(7)
    count, spread = 4000, 0.06
    tokens = rng.integers(1, 30, count * 4)
    exact = rng.normal(-20, 3, count * 4)
    low = exact + spread * np.sqrt(tokens) * rng.standard_t(8, count * 4) / math.sqrt(8 / 6)
    questions = [plain(*range(4 * n, 4 * n + 4)) for n in range(count)]
    scores = Scores(low.tolist(), tokens.tolist())
    errors = Errors()
    for number in first_questions(margins(questions, scores))[:16]:
        own = list(questions[number].places)
        errors.add(low[own].tolist(), exact[own].tolist(), tokens[own].tolist())
        scores.take({place: exact[place] for place in own})
    assert errors.spread == pytest.approx(spread, rel=0.4)
    while True:
        places, left = below_the_bound(margins(questions, scores), errors, count)
        if not places:
            break
        scores.take({place: exact[place] for place in places})
    right = exact.reshape(-1, 4).argmax(1)
    before = (low.reshape(-1, 4).argmax(1) != right).sum()
    after = (np.array(scores.values).reshape(-1, 4).argmax(1) != right).sum()
    assert left <= count / 1000
    assert before > 40
    assert after <= 4
    assert len(scores.exact) < count  # a quarter of the choices


def share(values: np.ndarray, labels: np.ndarray) -> float:
    weights = np.exp(values - values.max())
    return float(weights[labels == 1].sum() / weights.sum())


def test_a_mean_share_of_probability_stays_within_its_bound() -> None:
    rng = np.random.default_rng(3)
    count, spread = 200, 0.08
    tokens = rng.integers(5, 15, count * 5)
    exact = rng.normal(-12, 1.5, count * 5)
    labels = (1, 1, 0, 0, 0)
    questions = [Question(tuple(range(5 * n, 5 * n + 5)), labels=labels) for n in range(count)]
    truth = np.mean([share(row, np.array(labels)) for row in exact.reshape(-1, 5)])
    misses, asked = [], []
    for _ in range(30):
        low = exact + spread * np.sqrt(tokens) * rng.standard_normal(count * 5)
        scores = Scores(low.tolist(), tokens.tolist())
        places, left = uncertain_shares(questions, scores, spread)
        scores.take({place: exact[place] for place in places})
        shares = [share(row, np.array(labels)) for row in np.array(scores.values).reshape(-1, 5)]
        misses.append(np.mean(shares) - truth)
        asked.append(len(places))
        assert left <= 0.005 / 3
    assert max(map(abs, misses)) < 0.005
    assert np.std(misses) == pytest.approx(left, rel=0.5)
    assert 0 < np.mean(asked) < count * 5


def test_the_first_shares_are_those_that_an_error_moves_most() -> None:
    scores = Scores([0.0, -20.0, 0.0, 0.0], tokens=[1] * 4)
    questions = [Question((0, 1), labels=(1, 0)), Question((2, 3), labels=(1, 0))]
    assert unsure_first(questions, scores) == [1, 0]
