"""Aggregates that are no means, against lm-eval's own; scales, kinds of interval, groups without weights."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lm_eval
import numpy as np
import pytest
from benchmarks.conftest import LABEL, OracleLM, checksum_model, score, write
from lm_eval.api.metrics import mean
from lm_eval.tasks import TaskManager

from harness.benchmarks import BenchSettings, bench
from harness.benchmarks.measures import TaskScores, group_estimates, measure_name, score_task
from harness.metrics.aggregate import estimate
from harness.metrics.base import Measure
from harness.models.scripted import ScriptedModel
from harness.records import RunResult, Score
from harness.stages.compare import compare
from harness.stages.runfiles import run_to_json
from harness.store import NoStore

YAML = """
task: own
output_type: {kind}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}, cache_dir: {cache}}}
test_split: test
doc_to_text: "{text}"
doc_to_target: "{target}"
{more}
metric_list: [{metrics}]
"""
ROWS = [{"text": f"words of {i} " + "more " * i, "gold": i % 2} for i in range(12)]
CHOICES = 'doc_to_choice: ["no", "yes"]'


class Rolling(ScriptedModel):
    def rolling(self, texts: Sequence[str], have: Collection[int] = ()) -> Iterator[Any]:  # noqa: ARG002
        yield range(len(texts)), [score("", text) for text in texts]


def both(tmp_path: Path, model: Any = None, **shape: str) -> tuple[RunResult, dict[str, Any]]:
    """The same task through us and through lm-eval itself."""
    file = write(tmp_path / "own.jsonl", ROWS)
    path = tmp_path / "own.yaml"
    path.write_text(YAML.format(file=file, cache=tmp_path / "cache", **shape))
    found = bench(model or checksum_model(), [str(path)], NoStore(), BenchSettings(), LABEL)
    manager = TaskManager(include_defaults=False)
    theirs = lm_eval.simple_evaluate(OracleLM(), tasks=[str(path)], task_manager=manager, bootstrap_iters=0)
    return found, theirs["results"]["own"]


def listed(*names: str) -> str:
    return ", ".join(f"{{metric: {name}}}" for name in names)


def test_perplexities_equal_lm_eval(tmp_path: Path) -> None:
    names = ("word_perplexity", "byte_perplexity", "bits_per_byte")
    found, theirs = both(
        tmp_path,
        Rolling(),
        kind="loglikelihood_rolling",
        text="",
        target="{{text}}",
        more="",
        metrics=listed(*names),
    )
    ours = run_to_json(found)["results"]["own"]
    for name in names:
        assert ours[f"{name},none"] == pytest.approx(theirs[f"{name},none"], rel=1e-12)
        estimate_ = found.estimates["own"][name]
        assert estimate_.low < estimate_.value < estimate_.high
        assert (estimate_.method, estimate_.higher_is_better) == ("resampled", False)
    # log2 of the perplexity of a byte is its bits: the bounds come from the same draws
    byte, bits = (found.estimates["own"][name] for name in names[1:])
    assert math.log2(byte.low) == pytest.approx(bits.low)
    assert found.samples[0].loglikelihoods == (score("", ROWS[0]["text"]).value,)
    assert found.samples[0].target is None
    assert {metric.n for metric in compare(found, found).metrics} == {0}


def test_other_aggregates_equal_lm_eval(tmp_path: Path) -> None:
    found, theirs = both(
        tmp_path,
        kind="multiple_choice",
        text="{{text}}",
        target="{{gold}}",
        more=CHOICES,
        metrics=listed("acc", "f1", "mcc", "acc_bytes", "exact_match", "brier_score"),
    )
    ours = run_to_json(found)["results"]["own"]
    for key, value in ours.items():
        if key != "alias":
            assert value == pytest.approx(theirs[key], abs=1e-12), key
    f1 = found.estimates["own"]["f1"]
    assert 0 <= f1.low < f1.value < f1.high <= 1
    assert (f1.n, f1.scored, f1.method) == (12, 12, "resampled")
    assert found.samples[0].scores["f1"].reason == "this measure is of the whole task, not of one sample"
    assert [sample.target for sample in found.samples[:2]] == ["no", "yes"]


def test_last_words_equal_lm_eval(tmp_path: Path) -> None:
    found, theirs = both(
        tmp_path,
        kind="loglikelihood",
        text="{{text}}",
        target=" {{gold}}",
        more="",
        metrics=listed("perplexity", "acc"),
    )
    ours = run_to_json(found)["results"]["own"]
    assert ours["perplexity,none"] == pytest.approx(theirs["perplexity,none"], rel=1e-12)
    assert ours["acc,none"] == theirs["acc,none"]
    assert found.estimates["own"]["acc"].method == "wilson"
    assert (found.samples[1].target, found.samples[1].answer) == (" 1", "")


def test_slow_aggregates_have_no_interval(tmp_path: Path) -> None:
    found, theirs = both(
        tmp_path,
        kind="generate_until",
        text="{{text}}",
        target="So the answer is 2.",
        more='generation_kwargs: {{until: ["\\n"]}}'.replace("{{", "{").replace("}}", "}"),
        metrics=listed("bleu"),
    )
    bleu = found.estimates["own"]["bleu"]
    assert bleu.value == pytest.approx(theirs["bleu,none"])
    assert (bleu.low, bleu.method, bleu.scale) == (None, "none", (0.0, 100.0))


def task(**aggregations: Any) -> Any:
    config = SimpleNamespace(process_results=lambda *_: None)
    return SimpleNamespace(
        config=config, aggregation=lambda: aggregations, higher_is_better=lambda: {"loss": False}
    )


def test_odd_values_are_unscored_with_a_reason() -> None:
    key = ("acc", "none")
    rows: list[Any] = [{key: 1}, {key: math.nan}, {key: "x"}, {}, "it broke", {key: (1, 2)}]
    found = score_task(task(acc=mean), rows, "s")
    assert [row["acc"].value for row in found.rows] == [1.0, None, None, None, None, None]
    assert [row["acc"].reason for row in found.rows[1:]] == [
        "the measure is not a finite number here",
        "x",
        "the task gives this sample no value",
        "it broke",
        "the task's value (1, 2) is no number",
    ]
    assert (found.estimates["acc"].scored, found.estimates["acc"].n) == (1, 6)


def test_nothing_scored_still_has_its_measures() -> None:
    found = score_task(task(acc=mean, loss=np.median), ["broken", "broken"], "s")
    assert {name: (e.value, e.scored, e.n) for name, e in found.estimates.items()} == {
        "acc": (None, 0, 2),
        "loss": (None, 0, 2),
    }
    assert not found.estimates["loss"].higher_is_better


@pytest.mark.parametrize(
    ("values", "method"),
    [([True, False, True], "wilson"), ([0, 1, 1], "wilson"), ([0.0, 1.0, 1.0], "t"), ([2, 1, 0], "t")],
)
def test_a_tasks_own_scoring_is_binary_only_where_it_counts(values: list[Any], method: str) -> None:
    found = score_task(task(acc=mean), [{("acc", "none"): value} for value in values], "s")
    assert found.estimates["acc"].method == method


def test_one_sample_and_failing_draws_have_no_interval() -> None:
    def median(items: list[float]) -> float:
        return math.nan if len(set(items)) == 1 else float(np.median(items))

    key = ("loss", "none")
    assert score_task(task(loss=np.median), [{key: 3.0}], "s").estimates["loss"].low is None
    mixed = score_task(task(loss=median), [{key: 3.0}, {key: 5.0}], "s").estimates["loss"]
    assert (mixed.value, mixed.low) == (4.0, None)
    same = score_task(task(loss=median), [{key: 3.0}, {key: 3.0}], "s").estimates["loss"]
    assert same.value is None


def test_names_and_scales() -> None:
    assert [measure_name(("acc", "none")), measure_name(("em", "strict"))] == ["acc", "em,strict"]
    key = [("rouge1_max", "none"), ("rouge1_acc", "none")]
    found = score_task(task(), [dict.fromkeys(key, 1.0)], "s")
    assert [e.scale for e in found.estimates.values()] == [(0.0, 100.0), (0.0, 1.0)]


def test_a_group_without_weights_is_the_mean_of_means() -> None:
    """By hand: means 1/2 and 1, variances 1/3 over 4 and 0 over 3; half = 1.959964 * sqrt(1/12) / 2."""
    measure = Measure("acc", "acc", binary=True)
    tasks = {}
    for name, values in {"a": [0.0, 0.0, 1.0, 1.0], "b": [1.0, 1.0, 1.0]}.items():
        rows = [{"acc": Score(value)} for value in values]
        tasks[name] = TaskScores(tuple(rows), {"acc": estimate(measure, [r["acc"] for r in rows], "s")})

    def group(weighted: bool) -> Any:
        return SimpleNamespace(
            name="g",
            version="1",
            get_all_tasks=lambda: [SimpleNamespace(task_name=name) for name in ("a", "b", "left out")],
            aggregate_metric_list=[SimpleNamespace(metric="acc", weight_by_size=weighted)],
            aggregate=lambda totals: {
                "alias": "g",
                "acc,none": 5 / 7 if weighted else 0.75,
                "acc_stderr,none": "N/A",
                "sample_len": totals["a"]["sample_len"] + totals["b"]["sample_len"],
            },
        )

    signatures = {"a": "x", "b": "y"}
    found = group_estimates(group(weighted=False), tasks, signatures)["acc"]
    assert (found.value, found.method, found.n) == (0.75, "mean of tasks", 7)
    assert found.high - 0.75 == pytest.approx(1.959964 * math.sqrt(1 / 12) / 2, abs=1e-6)
    pooled = group_estimates(group(weighted=True), tasks, signatures)["acc"]
    assert (pooled.value, pooled.method) == (5 / 7, "wilson")
    assert "group:g|version:1|tasks:2," in pooled.signature
