"""What the verdict's sentence says of general ability, by hand from the report's conventions ("Words")."""

from __future__ import annotations

from dataclasses import replace

import pytest
from wording.test_headline import BASE, TUNED, compared, metric

from harness.records import Forgetting, MetricComparison, Verdict
from harness.wording.headline import comparison_sentence

LOST = metric(
    Verdict.WORSE,
    task="hellaswag",
    measure="acc_norm",
    label="acc_norm",
    delta=-0.081,
    low=-0.13,
    high=-0.032,
    n=200,
)


@pytest.mark.parametrize(
    ("primary", "start", "end"),
    [
        (
            metric(Verdict.BETTER),
            "The tuned checkpoint is better: ROUGE-L rose by 11.6 points",
            "), but it forgets: ",
        ),
        (
            metric(Verdict.WORSE, delta=-0.1),
            "The tuned checkpoint is worse: ROUGE-L fell",
            "), and it forgets: ",
        ),
        (
            metric(Verdict.NO_WORSE),
            "The tuned checkpoint is no worse",
            "above \u22122.0 points, but it forgets: ",
        ),
        (
            metric(Verdict.NOT_DECIDED, needed=40),
            "It is not decided",
            "40 more samples would decide; it forgets: ",
        ),
        (None, "It is not decided", "on the same samples; it forgets: "),
    ],
)
def test_what_is_forgotten_stands_in_the_same_sentence(
    primary: MetricComparison | None, start: str, end: str
) -> None:
    kept = Forgetting(metric(Verdict.NO_WORSE, task="mmlu"), 4, 0.25, home_made=False, held=True)
    lost = Forgetting(LOST, 1, 0.25, home_made=False, held=False)
    compared_ = replace(compared(primary), forgetting=(kept, lost))
    sentence = comparison_sentence(compared_, BASE, TUNED)
    assert sentence.startswith(start)
    # the report's conventions: "but it forgets: BENCHMARK fell by Y points, and at most Z were allowed."
    assert sentence.endswith(
        f"{end}hellaswag acc_norm fell by 8.1 points (95% interval \u221213.0 to \u22123.2, n = 200), "
        "and at most 2.0 were allowed."
    )


def test_the_largest_loss_is_told_and_the_others_named() -> None:
    small = replace(LOST, task="arc_easy", delta=-0.05)
    lost = tuple(Forgetting(each, 1, None, home_made=False, held=False) for each in (small, LOST))
    sentence = comparison_sentence(replace(compared(metric(Verdict.BETTER)), forgetting=lost), BASE, TUNED)
    assert sentence.endswith("n = 200), arc_easy fell too, and at most 2.0 were allowed.")
    assert "hellaswag acc_norm fell by 8.1 points" in sentence


def test_a_broken_checkpoint_or_one_without_a_change_forgets_nothing() -> None:
    lost = (Forgetting(LOST, 1, None, home_made=False, held=False),)
    broken = replace(compared(None, Verdict.BROKEN), forgetting=lost)
    assert "forgets" not in comparison_sentence(broken, BASE, replace(TUNED, nonfinite=1))
    same = replace(compared(metric(Verdict.BETTER)), forgetting=lost)
    assert "forgets" not in comparison_sentence(same, BASE, replace(BASE, name="again"))
