"""Adaptive precision on lm-eval's tasks: a rounding model beside the exact one, decisions equal to the exact run's."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from benchmarks.conftest import LABEL, checksum, checksum_model, hellaswag_row, score, truthfulqa_row, write

from harness.benchmarks import BenchSettings, bench
from harness.benchmarks.adaptive import both
from harness.exceptions import BadValue, InputError
from harness.models.hf import HfModel, HfSettings
from harness.models.scripted import ScriptedModel
from harness.models.weights import WeightsPool
from harness.records import LogLikelihood, RunResult
from harness.store import NoStore


@dataclass
class Counting:
    """A model that counts what it is asked."""

    inner: ScriptedModel
    asked: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def fingerprint(self) -> str:
        return self.inner.fingerprint

    def generate(self, *arguments: Any, **named: Any) -> Any:
        return self.inner.generate(*arguments, **named)

    def loglikelihood(
        self, pairs: Sequence[tuple[Any, str]], have: Collection[int] = ()
    ) -> Iterator[tuple[Sequence[int], Sequence[LogLikelihood]]]:
        self.asked += [f"{prompt}\0{continuation}" for prompt, continuation in pairs]
        return self.inner.loglikelihood(pairs, have)


def rounded(prompt: Any, continuation: str) -> LogLikelihood:
    """The exact number with an error between -0.1 and 0.1."""
    exact = score(prompt, continuation)
    error = (checksum(f"{continuation}\0{prompt}") % 2001 - 1000) / 10000
    return LogLikelihood(exact.value + error, exact.greedy, exact.tokens)


def models(low: Any = rounded) -> tuple[Counting, Counting]:
    return (
        Counting(checksum_model(loglikelihoods=low, identity="low")),
        Counting(checksum_model(identity="high")),
    )


def in_both(monkeypatch: pytest.MonkeyPatch, low: Counting, high: Counting) -> None:
    """Stand in for the two precisions of a transformers model."""
    monkeypatch.setattr("harness.benchmarks.adaptive.both", lambda _: (low, high))


def adaptive_run(folder: Path, *names: str, **settings: Any) -> RunResult:
    chosen = BenchSettings(data_dir=folder, precision="adaptive", **settings)
    return bench(checksum_model(), names, NoStore(), chosen, LABEL)


@pytest.fixture
def adaptive(monkeypatch: pytest.MonkeyPatch) -> tuple[Counting, Counting]:
    low, high = models()
    in_both(monkeypatch, low, high)
    return low, high


def exact_run(folder: Path, *names: str) -> RunResult:
    return bench(checksum_model(), names, NoStore(), BenchSettings(data_dir=folder), LABEL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "many"
    write(place / "hellaswag" / "train.jsonl", [hellaswag_row(i) for i in range(900, 905)])
    write(place / "hellaswag" / "validation.jsonl", [hellaswag_row(i) for i in range(400)])
    write(place / "truthfulqa" / "mc.jsonl", [truthfulqa_row(i) for i in range(300)])
    return place


def test_decisions_equal_the_exact_ones_though_few_numbers_are_exact(
    folder: Path, adaptive: tuple[Counting, Counting]
) -> None:
    low, high = adaptive
    names = ("hellaswag", "truthfulqa_mc1")
    found = adaptive_run(folder, *names)
    for ours, theirs in zip(found.samples, exact_run(folder, *names).samples, strict=True):
        assert {k: s.value for k, s in ours.scores.items()} == {k: s.value for k, s in theirs.scores.items()}
    assert len(low.asked) == 400 * 4 + 300 * 4
    assert 8 * 4 <= len(high.asked) < 0.3 * len(low.asked)
    assert len(set(high.asked)) == len(high.asked)  # nothing twice
    note = found.settings["task hellaswag, precision"]
    assert "of 400 samples scored again in float32" in note
    assert "wrong decisions expected" in note
    assert found.fingerprint not in {low.fingerprint, high.fingerprint}


def test_rounding_alone_would_change_decisions(folder: Path) -> None:
    """Otherwise the test above shows nothing."""
    low, _ = models()
    found = bench(low, ["hellaswag"], NoStore(), BenchSettings(data_dir=folder), LABEL)
    exact = exact_run(folder, "hellaswag")
    changed = [
        sample.sample_id
        for sample, other in zip(found.samples, exact.samples, strict=True)
        if sample.answer != other.answer or sample.scores["acc_norm"] != other.scores["acc_norm"]
    ]
    assert len(changed) >= 3


def test_a_mean_share_is_within_five_thousandths(folder: Path, adaptive: tuple[Counting, Counting]) -> None:
    low, high = adaptive
    found = adaptive_run(folder, "truthfulqa_mc2")
    exact = exact_run(folder, "truthfulqa_mc2")
    mine, theirs = (run.estimates["truthfulqa_mc2"]["acc"].value for run in (found, exact))
    assert mine == pytest.approx(theirs, abs=0.005)
    assert 0 < len(high.asked) < len(low.asked)
    assert "standard error of the mean from rounding" in found.settings["task truthfulqa_mc2, precision"]


def test_a_later_task_of_the_same_data_needs_no_sample_of_its_own(
    folder: Path, adaptive: tuple[Counting, Counting]
) -> None:
    _, high = adaptive
    adaptive_run(folder, "truthfulqa_mc2", "truthfulqa_mc1")
    both_tasks = len(high.asked)
    high.asked.clear()
    adaptive_run(folder, "truthfulqa_mc1")
    alone = len(high.asked)
    high.asked.clear()
    adaptive_run(folder, "truthfulqa_mc2")
    assert both_tasks <= alone + len(high.asked)


def test_what_is_not_finite_in_low_precision_is_asked_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflowing(prompt: Any, continuation: str) -> LogLikelihood:
        found = rounded(prompt, continuation)
        return LogLikelihood(float("nan"), greedy=False, tokens=1) if "way 3" in continuation else found

    low, high = models(overflowing)
    in_both(monkeypatch, low, high)
    found = adaptive_run(folder, "hellaswag")
    assert found.nonfinite == 0
    assert len(high.asked) == 1600
    assert (
        found.estimates["hellaswag"]["acc"].value
        == exact_run(folder, "hellaswag").estimates["hellaswag"]["acc"].value
    )


def test_a_checkpoint_that_is_broken_in_both_is_broken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nan(*_: Any) -> LogLikelihood:
        return LogLikelihood(float("nan"), greedy=False, tokens=1)

    low, high = models(nan)
    high.inner = checksum_model(loglikelihoods=nan, identity="high")
    in_both(monkeypatch, low, high)
    found = adaptive_run(folder, "hellaswag", limit=5)
    assert found.nonfinite == 5


def test_only_a_transformers_model_has_two_precisions() -> None:
    with pytest.raises(InputError, match="needs the weights"):
        both(checksum_model())


def test_both_precisions_are_one_checkpoint(tmp_path: Path) -> None:
    model = HfModel("m", tmp_path, None, HfSettings(token_budget=7), WeightsPool())
    low, high = both(model)
    assert (low.settings, high.settings) == (
        HfSettings("bfloat16", token_budget=7),
        HfSettings("float32", token_budget=7),
    )
    assert low.pool is high.pool is model.pool


def test_measures_that_need_every_number_are_scored_in_float32_alone(
    tmp_path: Path, adaptive: tuple[Counting, Counting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Brier score looks at the probabilities themselves."""
    low, high = adaptive
    write(tmp_path / "hellaswag" / "train.jsonl", [hellaswag_row(1)])
    write(tmp_path / "hellaswag" / "validation.jsonl", [hellaswag_row(i) for i in range(6)])
    monkeypatch.setattr("harness.benchmarks.adaptive._DECISIONS", {"acc"})  # as if acc_norm were one of those
    found = adaptive_run(tmp_path, "hellaswag")
    assert low.asked == []
    assert len(high.asked) == 24
    assert "need every number exact" in found.settings["task hellaswag, precision"]


def test_other_precisions_are_refused() -> None:
    with pytest.raises(BadValue, match="adaptive"):
        BenchSettings(precision="float8")
