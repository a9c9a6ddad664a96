from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest

from harness.exceptions import BadValue
from harness.metrics import create_metrics
from harness.metrics.base import Measure
from harness.metrics.runner import score_samples
from harness.records import Sample, Score


@dataclass(frozen=True)
class Fixed:
    """Gives whatever it is told to give."""

    given: object
    binary: bool = False

    name: ClassVar[str] = "fixed"
    needs_target: ClassVar[bool] = False

    @property
    def measures(self) -> tuple[Measure, ...]:
        return (Measure("fixed", "Fixed", binary=self.binary), Measure("second", "Second"))

    @property
    def signature(self) -> str:
        return "fixed"

    def score(self, answer: str, sample: Sample) -> Mapping[str, Score]:  # noqa: ARG002
        if isinstance(self.given, BaseException):
            raise self.given
        return self.given  # type: ignore[return-value]


SAMPLE = Sample("1", "q", "target")


def one(given: object, *, binary: bool = False) -> Score:
    (row,) = score_samples([Fixed(given, binary)], ["answer"], [SAMPLE])
    assert set(row) == {"fixed", "second"}
    return row["fixed"]


def test_a_metric_that_raises_becomes_a_reason() -> None:
    assert one(ValueError("too odd")) == Score(None, reason="fixed failed: ValueError: too odd")
    long = one(RuntimeError("x" * 1000)).reason
    assert long is not None
    assert len(long) == 200


def test_the_run_goes_on_after_a_failure() -> None:
    metrics = [Fixed(KeyError("k")), *create_metrics(["exact_match"])]
    rows = score_samples(metrics, ["target", "other"], [SAMPLE, Sample("2", "q", "target")])
    assert [row["exact_match"].value for row in rows] == [1.0, 0.0]
    assert [row["second"].value for row in rows] == [None, None]


def test_an_interrupt_is_not_caught() -> None:
    with pytest.raises(KeyboardInterrupt):
        one(KeyboardInterrupt())


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        (Score(math.nan), "fixed is not finite"),
        (Score(-math.inf), "fixed is not finite"),
        (Score(0.5, (1.0, math.nan)), "fixed is not finite"),
        (Score(1.5), "fixed is 1.5, outside its scale of 0 to 1"),
        (Score(-0.01), "fixed is -0.01, outside its scale of 0 to 1"),
        (Score(None), "fixed gave no value"),
        (Score(None, reason="abstained"), "abstained"),
    ],
)
def test_what_cannot_be_averaged_is_unscored_with_its_reason(score: Score, reason: str) -> None:
    found = one({"fixed": score, "second": Score(0.5)})
    assert found == Score(None, reason=reason)


def test_a_missing_measure_is_unscored_and_the_other_kept() -> None:
    (row,) = score_samples([Fixed({"second": Score(0.5)})], ["answer"], [SAMPLE])
    assert row == {"fixed": Score(None, reason="fixed gave no value"), "second": Score(0.5)}


def test_what_is_no_mapping_of_scores_is_a_failure() -> None:
    assert "fixed failed: AttributeError" in str(one(0.5).reason)
    assert "fixed failed: AttributeError" in str(one({"fixed": 0.5}).reason)


def test_rounding_beyond_the_scale_is_kept() -> None:
    assert one({"fixed": Score(1.0 + 1e-12), "second": Score(0.5)}).value == 1.0 + 1e-12


def test_a_binary_measure_is_0_or_1() -> None:
    assert one({"fixed": Score(1.0)}, binary=True).value == 1.0
    assert one({"fixed": Score(0.5)}, binary=True).reason == "fixed is 0.5, but was declared to be 0 or 1"


def test_without_target_only_metrics_that_need_none_score() -> None:
    metrics = [Fixed({"fixed": Score(1.0), "second": Score(1.0)}), *create_metrics(["token_f1"])]
    (row,) = score_samples(metrics, ["answer"], [Sample("1", "q")])
    assert row["fixed"].value == 1.0
    assert row["token_f1"] == Score(None, reason="no target")


def test_a_failed_generation_is_unscored_and_not_zero() -> None:
    metrics = create_metrics(["exact_match", "rouge", "bleu"])
    rows = score_samples(metrics, ["", "target"], [SAMPLE, SAMPLE], ["out of memory", None])
    assert set(rows[0].values()) == {Score(None, reason="out of memory")}
    assert rows[1]["exact_match"].value == 1.0


def test_all_built_ins_take_empty_and_odd_texts() -> None:
    metrics = create_metrics(["exact_match", "token_f1", "rouge", "bleu", "chrf"])
    texts = ["", " \n", "\u4e2d\u6587 \U0001f600", "a\x00b", "\ud800", "e\u0301" * 50]
    samples = [Sample(str(i), "q", target) for i, target in enumerate(texts) for _ in texts]
    rows = score_samples(metrics, texts * len(texts), samples)
    assert [score.reason for row in rows for score in row.values() if score.value is None] == []


def test_lengths_must_agree() -> None:
    with pytest.raises(BadValue, match="number of answers is 2, but must be that of the samples, 1"):
        score_samples([], ["a", "b"], [SAMPLE])
    with pytest.raises(BadValue, match="number of failures"):
        score_samples([], ["a"], [SAMPLE], [])
