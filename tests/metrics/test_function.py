from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from harness.exceptions import BadValue, InputError
from harness.metrics import create_metrics, metric, registry
from harness.metrics.base import Metric
from harness.metrics.function import code_digest, origin_of
from harness.metrics.runner import score_samples
from harness.records import Sample, Score

pytestmark = pytest.mark.usefixtures("fresh_registry")


def test_a_bare_decorator_registers_under_the_functions_name() -> None:
    @metric
    def word_overlap(answer: str, sample: Sample) -> float:
        return float(answer.split()[:1] == (sample.target or "").split()[:1])

    (made,) = create_metrics(["word_overlap"])
    assert isinstance(made, Metric)
    (measure,) = made.measures
    assert (measure.name, measure.label, measure.low, measure.high) == ("word_overlap", "Word overlap", 0, 1)
    assert made.needs_target
    assert word_overlap("a b", Sample("1", "q", "a c")) == 1.0
    rows = score_samples([made], ["a b"], [Sample("1", "q", "a c")])
    assert rows == [{"word_overlap": Score(1.0)}]


def test_settings_describe_the_measure() -> None:
    @metric(label="Words", low=0, high=500, higher_is_better=False, needs_target=False)
    def words(answer: str, sample: Sample) -> float:  # noqa: ARG001
        return len(answer.split())

    (made,) = create_metrics(["words"])
    (measure,) = made.measures
    assert (measure.label, measure.high, measure.higher_is_better) == ("Words", 500, False)
    assert score_samples([made], ["a b c"], [Sample("1", "q")])[0]["words"].value == 3.0


def test_none_leaves_a_sample_unscored() -> None:
    @metric(binary=True)
    def sometimes(answer: str, sample: Sample) -> float | None:  # noqa: ARG001
        return True if answer else None

    (made,) = create_metrics(["sometimes"])
    rows = score_samples([made], ["", "x"], [Sample("1", "q", "t")] * 2)
    assert rows[0]["sometimes"] == Score(None, reason="sometimes gave no value")
    assert rows[1]["sometimes"] == Score(1.0)


def test_the_signature_changes_with_anything_in_the_file(tmp_path: Path) -> None:
    codes = []
    for limit in (5, 9):
        path = tmp_path / "mine.py"
        path.write_text(f"LIMIT = {limit}\n\ndef short(answer, sample):\n    return len(answer) < LIMIT\n")
        space: dict[str, Any] = {}
        exec(compile(path.read_text(), path, "exec"), space)  # noqa: S102 - as a plugin file is run
        codes.append(code_digest(space["short"]))
    assert codes[0] != codes[1]
    metric(space["short"])
    assert create_metrics(["short"])[0].signature == f"short|code:{codes[1]}"


def test_code_without_a_source_is_digested_too() -> None:
    spaces: list[dict[str, object]] = [{"__name__": "cell"}, {"__name__": "cell"}]
    for value, space in zip((0.25, 0.75), spaces, strict=True):
        exec(f"def typed(answer, sample):\n    return {value}", space)  # noqa: S102 - as a prompt would run it
    digests = [code_digest(space["typed"]) for space in spaces]  # type: ignore[arg-type]
    assert digests[0] != digests[1]
    assert origin_of(spaces[0]["typed"]) == "cell"  # type: ignore[arg-type]


def test_a_taken_name_is_refused_but_the_same_file_may_run_again() -> None:
    def rouge(answer: str, sample: Sample) -> float:  # noqa: ARG001
        return 1.0

    with pytest.raises(InputError, match=r"'rouge' from test_function\.py has the name of one from built-in"):
        metric(rouge)

    def again(answer: str, sample: Sample) -> float:  # noqa: ARG001
        return 1.0

    metric(again)
    metric(again)
    assert registry().origin("again") == "test_function.py"


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (0.0, 0.0), (0.0, math.inf), (math.nan, 1.0)])
def test_a_scale_must_be_finite_and_the_right_way_round(low: float, high: float) -> None:
    def scaled(answer: str, sample: Sample) -> float:  # noqa: ARG001
        return 1.0

    with pytest.raises(BadValue, match="scale of metric 'scaled'"):
        metric(low=low, high=high)(scaled)


def test_a_function_must_take_answer_and_sample() -> None:
    def narrow(answer: str) -> float:
        return float(answer)

    with pytest.raises(BadValue, match="two arguments"):
        metric(narrow)  # type: ignore[call-overload]
