"""Runs with benchmarks made by hand: lm-eval's names and signatures, scores of 0 and 1 as the test sets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from harness.records import Estimate, Finish, RunResult, SampleResult, Score, prompt_hash

Scores = Mapping[str, Mapping[str, Sequence[float]]]
"""Task -> measure -> one value a sample."""


def signature(task: str, measure: str, source: str = "hub") -> str:
    """As a benchmark task's estimates have it."""
    return f"{measure}|task:{task}|lm-eval:0.4.13|version:1.0|shots:0|chat:no|system:no|samples:all|data:{source},abc"


def estimate(task: str, measure: str, values: Sequence[float], **changes: Any) -> Estimate:
    """The mean with a normal interval."""
    mean = fmean(values)
    half = 1.96 * (mean * (1 - mean) / len(values)) ** 0.5 if 0 <= mean <= 1 else 0.0
    source = changes.pop("source", "hub")
    keys: dict[str, Any] = {
        "measure": measure,
        "label": measure,
        "value": mean,
        "low": mean - half,
        "high": mean + half,
        "n": len(values),
        "scored": len(values),
        "level": 0.95,
        "method": "wilson",
        "signature": signature(task, measure, source),
        "scale": (0.0, 1.0),
        "higher_is_better": True,
        "binary": set(values) <= {0, 1},
    }
    return Estimate(**(keys | changes))


def sample(task: str, number: int, scores: Mapping[str, float], groups: str = "") -> SampleResult:
    """One question with four choices; the answer is right where the first measure is 1."""
    prompt = f"Question {number} of {task}\nAnswer:"
    right = next(iter(scores.values())) == 1
    return SampleResult(
        task=task,
        sample_id=str(number),
        prompt=prompt,
        prompt_hash=prompt_hash(prompt),
        input=f"Question {number} of {task}",
        target="the right one",
        generation="",
        answer="the right one" if right else "a wrong one",
        tokens=0,
        finish=Finish.STOP,
        failure=None,
        scores={name: Score(value) for name, value in scores.items()},
        metadata={"groups": groups} if groups else {},
        loglikelihoods=(-1.0, -2.0, -3.0, -4.0),
    )


def with_scores(run: RunResult, scores: Scores, source: str = "hub", group: str = "") -> RunResult:
    """The run with benchmarks added; tasks named `GROUP_...` belong to the group, which is their pooled mean."""
    samples, estimates = list(run.samples), dict(run.estimates)
    for task, measures in scores.items():
        part = group if group and task.startswith(f"{group}_") else ""
        for number, row in enumerate(zip(*measures.values(), strict=True)):
            samples.append(sample(task, number, dict(zip(measures, row, strict=True)), part))
        estimates[task] = {name: estimate(task, name, v, source=source) for name, v in measures.items()}
    if group:
        parts = [measures for task, measures in scores.items() if task.startswith(f"{group}_")]
        pooled = {name: [value for part in parts for value in part[name]] for name in parts[0]}
        named = {name: f"{name}|group:{group}|version:2|tasks:2,abc" for name in pooled}
        estimates[group] = {
            name: estimate(group, name, values, signature=named[name]) for name, values in pooled.items()
        }
    return replace(run, samples=tuple(samples), estimates=estimates)
