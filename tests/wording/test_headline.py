"""The sentences, derived by hand from the report's conventions ("Words": verb, X points, interval, n)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.records import (
    Comparison,
    Estimate,
    Finish,
    MetricComparison,
    RunResult,
    SampleResult,
    Verdict,
)
from harness.wording.headline import (
    all_of,
    comparison_sentence,
    evidence,
    headline,
    label,
    metric_name,
    moved,
    no_difference,
    quantity,
    score_text,
    tolerance_line,
    unchanged,
    verdict_sentence,
)
from harness.wording.numbers import NBSP
from harness.wording.parts import Quantity, plain_text


def estimate(value: float | None = 0.2, **changes: Any) -> Estimate:
    found = Estimate(
        measure="rougeL",
        label="ROUGE-L",
        value=value,
        low=None,
        high=None,
        n=140,
        scored=140,
        level=0.95,
        method="t",
        signature="s",
        scale=(0.0, 1.0),
        higher_is_better=True,
        binary=False,
    )
    return replace(found, **changes)


def metric(verdict: Verdict, **changes: Any) -> MetricComparison:
    found = MetricComparison(
        task="held_out",
        measure="rougeL",
        label="ROUGE-L",
        base=estimate(0.2),
        tuned=estimate(0.316),
        n=140,
        delta=0.116,
        low=0.059,
        high=0.172,
        level=0.95,
        p=0.001,
        p_adjusted=0.001,
        test="paired t",
        wins=80,
        losses=40,
        ties=20,
        verdict=verdict,
        within_tolerance=False,
        needed=None,
        tolerance=0.02,
        primary=True,
    )
    return replace(found, **changes)


def sample(identity: str = "1", text: str = "a", **changes: Any) -> SampleResult:
    found = SampleResult(
        task="held_out",
        sample_id=identity,
        prompt="p",
        prompt_hash="h",
        input="p",
        target="t",
        generation=text,
        answer=text,
        tokens=1,
        finish=Finish.STOP,
        failure=None,
        scores={},
    )
    return replace(found, **changes)


def run(name: str, *samples: SampleResult, nonfinite: int = 0) -> RunResult:
    return RunResult(name, name, "f", None, {}, {}, samples, nonfinite)


BASE = run("base", sample("1"), sample("2"))
TUNED = run("tuned", sample("1", "b"), sample("2", "c"))


def compared(primary: MetricComparison | None, verdict: Verdict | None = None) -> Comparison:
    metrics = () if primary is None else (primary,)
    found = (
        verdict if verdict is not None else primary.verdict if primary is not None else Verdict.NOT_DECIDED
    )
    return Comparison("base", "tuned", metrics, primary, found, "")


def said(primary: MetricComparison | None, base: RunResult = BASE, tuned: RunResult = TUNED) -> str:
    return comparison_sentence(compared(primary), base, tuned)


LOWER = {"base": estimate(0.4, higher_is_better=False)}


@pytest.mark.parametrize(
    ("primary", "sentence"),
    [
        (
            metric(Verdict.BETTER),
            (
                "The tuned checkpoint is better: ROUGE-L rose by 11.6 points "
                "(95% interval +5.9 to +17.2, n = 140)."
            ),
        ),
        (
            metric(Verdict.BETTER, delta=-0.1, low=-0.15, high=-0.05, **LOWER),
            (
                "The tuned checkpoint is better: ROUGE-L fell by 10.0 points "
                "(95% interval −15.0 to −5.0, n = 140)."
            ),
        ),
        (
            metric(Verdict.WORSE, delta=-0.065, low=-0.11, high=-0.02, n=1260),
            (
                "The tuned checkpoint is worse: ROUGE-L fell by 6.5 points "
                "(95% interval −11.0 to −2.0, n = 1,260)."
            ),
        ),
        (
            metric(Verdict.WORSE, delta=-0.01, low=-0.015, high=-0.004, within_tolerance=True),
            (
                "The tuned checkpoint is worse: ROUGE-L fell by 1.0 point "
                "(95% interval −1.5 to −0.4, n = 140), within the tolerance of 2.0 points."
            ),
        ),
        (
            metric(Verdict.NO_WORSE, delta=0.0004, low=-0.012, high=0.013),
            (
                "The tuned checkpoint is no worse in ROUGE-L "
                "(+0.04 points, 95% interval −1.2 to +1.3, n = 140): the interval stays above −2.0 points."
            ),
        ),
        (
            metric(Verdict.NO_WORSE, delta=0.0, low=-0.012, high=0.013, tolerance=0.05, **LOWER),
            (
                "The tuned checkpoint is no worse in ROUGE-L "
                "(0.0 points, 95% interval −1.2 to +1.3, n = 140): the interval stays below +5.0 points."
            ),
        ),
        (
            metric(Verdict.NOT_DECIDED, delta=0.02, low=-0.03, high=0.07, needed=1800),
            (
                "It is not decided whether the tuned checkpoint is better in ROUGE-L "
                "(+2.0 points, 95% interval −3.0 to +7.0, n = 140): about 1,800 more samples would decide."
            ),
        ),
        (
            metric(Verdict.NOT_DECIDED, delta=0.02, low=-0.03, high=0.07, needed=1),
            (
                "It is not decided whether the tuned checkpoint is better in ROUGE-L "
                "(+2.0 points, 95% interval −3.0 to +7.0, n = 140): about 1 more sample would decide."
            ),
        ),
        (
            metric(Verdict.NOT_DECIDED, delta=0.02, low=None, high=None, n=1),
            (
                "It is not decided whether the tuned checkpoint is better in ROUGE-L "
                "(+2.0 points, no interval, n = 1)."
            ),
        ),
        (
            metric(Verdict.NOT_DECIDED, delta=None, low=None, high=None, n=0),
            "It is not decided whether the tuned checkpoint is better: ROUGE-L scored no sample on both sides.",
        ),
        (
            None,
            (
                "It is not decided whether the tuned checkpoint is better: "
                "no metric scored both checkpoints on the same samples."
            ),
        ),
    ],
)
def test_each_verdict_is_a_sentence(primary: MetricComparison | None, sentence: str) -> None:
    assert said(primary) == sentence


def test_points_are_hundredths_of_the_scale() -> None:
    """BLEU runs from 0 to 100: its points are its own units, and the tolerance stays a share of the range."""
    bleu = metric(
        Verdict.NO_WORSE,
        label="BLEU",
        base=estimate(19.0, scale=(0.0, 100.0)),
        delta=1.25,
        low=-0.5,
        high=3.0,
    )
    assert said(bleu) == (
        "The tuned checkpoint is no worse in BLEU (+1.2 points, 95% interval −0.5 to +3.0, n = 140): "
        "the interval stays above −2.0 points."
    )


@pytest.mark.parametrize(
    ("base", "tuned", "sentence"),
    [
        (
            0,
            1,
            "The tuned checkpoint is broken: it returns numbers that are not finite on 1 of 2 samples.",
        ),
        (1, 0, "The base is broken: it returns numbers that are not finite on 1 of 2 samples."),
        (1, 2, "The tuned checkpoint is broken: it returns numbers that are not finite on 2 of 2 samples."),
        (0, 0, "The tuned checkpoint is broken: it returns numbers that are not finite."),
    ],
)
def test_broken_names_the_checkpoint_and_the_count(base: int, tuned: int, sentence: str) -> None:
    comparison = compared(metric(Verdict.BROKEN), Verdict.BROKEN)
    runs = replace(BASE, nonfinite=base), replace(TUNED, nonfinite=tuned)
    assert comparison_sentence(comparison, *runs) == sentence


def test_broken_comes_before_the_same_answers() -> None:
    comparison = compared(metric(Verdict.BROKEN), Verdict.BROKEN)
    found = comparison_sentence(comparison, BASE, replace(BASE, nonfinite=1))
    assert found.startswith("The tuned checkpoint is broken")


def test_the_same_answers_make_no_difference() -> None:
    primary = metric(Verdict.NO_WORSE, base=estimate(0.2343))
    assert said(primary, BASE, BASE) == (
        "The tuned checkpoint makes no difference: it gave the base's answer to all 2 samples, "
        "so ROUGE-L stayed at 0.234."
    )
    only = run("only", sample())
    assert said(None, only, only) == (
        "The tuned checkpoint makes no difference: it gave the base's answer to the only sample."
    )
    assert all_of(1260) == "all 1,260 samples"
    unscored = metric(Verdict.NOT_DECIDED, base=estimate(None))
    assert plain_text(no_difference(2, unscored)).endswith("to all 2 samples.")


@pytest.mark.parametrize(
    ("tuned", "same"),
    [
        (run("t", sample("1"), sample("2")), True),
        (run("t", sample("2"), sample("1")), True),
        (run("t", sample("1"), sample("2", "A")), False),
        (run("t", sample("1")), False),
        (run("t", sample("1"), sample("3")), False),
        (run("t", sample("1"), sample("2", task="other")), False),
        (run("t", sample("1"), sample("2", failure="no answer")), False),
        (run("t"), False),
    ],
)
def test_unchanged_means_every_answer_letter_by_letter(tuned: RunResult, same: bool) -> None:
    assert unchanged(BASE, tuned) is same


def test_two_failures_are_not_the_same_answer() -> None:
    failed = run("b", sample("1", "", failure="x"))
    assert not unchanged(failed, failed)


def test_the_verdict_and_its_amount_are_strong_and_the_evidence_soft() -> None:
    parts = headline(compared(metric(Verdict.BETTER)), BASE, TUNED)
    assert [part.text for part in parts if part.kind == "strong"] == ["better", f"11.6{NBSP}points"]
    assert [part.text for part in parts if part.kind == "soft"] == [evidence(metric(Verdict.BETTER))]
    for verdict, word in (
        (Verdict.WORSE, "worse"),
        (Verdict.NO_WORSE, "no worse"),
        (Verdict.NOT_DECIDED, "not decided"),
        (Verdict.BROKEN, "broken"),
    ):
        strong = [
            part.text for part in headline(compared(metric(verdict)), BASE, TUNED) if part.kind == "strong"
        ]
        assert strong[0] == word


def test_numbers_do_not_break_across_lines_on_the_page() -> None:
    assert evidence(metric(Verdict.BETTER), amount=True) == (
        f"(+11.6{NBSP}points, 95% interval +5.9{NBSP}to{NBSP}+17.2, n{NBSP}={NBSP}140)"
    )


def test_the_task_is_named_where_there_are_several() -> None:
    one, other = metric(Verdict.BETTER), metric(Verdict.BETTER, task="arc")
    comparison = Comparison("base", "tuned", (one, other), one, Verdict.BETTER, "")
    assert "ROUGE-L on held_out rose" in plain_text(verdict_sentence(comparison, BASE, TUNED))
    assert metric_name(one, 1) == "ROUGE-L"


def test_names_from_outside_are_one_short_line_without_secrets() -> None:
    assert label("a\nb  c") == "a b c"
    assert label("x" * 80) == "x" * 59 + "…"
    assert label("/home/anna/models/m") == "~/models/m"


@pytest.mark.parametrize(
    ("value", "scale", "binary", "expected"),
    [
        (0.171, (0.0, 1.0), True, Quantity("17.1", "%")),
        (0.171, (0.0, 1.0), False, Quantity("0.171")),
        (19.44, (0.0, 100.0), False, Quantity("19.4")),
        (50.0, (0.0, 100.0), True, Quantity("50.0")),
        (None, (0.0, 1.0), True, Quantity("–")),
    ],
)
def test_a_share_of_samples_is_a_percentage(
    value: float | None, scale: tuple[float, float], binary: bool, expected: Quantity
) -> None:
    assert quantity(value, scale, binary=binary) == expected


def test_scores_carry_their_unit() -> None:
    assert score_text(estimate(0.5, binary=True)) == "50.0%"
    assert score_text(estimate(0.5)) == "0.500"


def test_verbs_and_tolerance_follow_the_direction() -> None:
    assert [moved(metric(Verdict.BETTER, delta=delta)) for delta in (0.1, -0.1, 0.0, None)] == [
        "rose",
        "fell",
        "did not change",
        "did not change",
    ]
    assert tolerance_line(metric(Verdict.BETTER)) == -2.0
    assert tolerance_line(metric(Verdict.BETTER, **LOWER)) == 2.0
