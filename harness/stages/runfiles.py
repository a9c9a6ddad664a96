"""Run folders: `results.json` and `samples.jsonl`, written whole, read back equal."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.data.files import ready_folder
from harness.data.samples_file import json_line
from harness.exceptions import FileProblem
from harness.records import (
    Category,
    Environment,
    Estimate,
    Finish,
    Message,
    Prompt,
    RunResult,
    SampleResult,
    Score,
)
from harness.stages.layout import EVALUATIONS, write_output

RESULTS = "results.json"
SAMPLES = "samples.jsonl"


def write_run(run: RunResult, folder: Path) -> None:
    """Write a run; `results.json` comes last, so that a folder that has it is complete."""
    ready_folder(folder, "Writing the results")
    (folder / RESULTS).unlink(missing_ok=True)
    lines = [json_line(sample_to_json(sample)) + b"\n" for sample in run.samples]
    write_output(folder / SAMPLES, b"".join(lines))
    write_output(folder / RESULTS, json_bytes(run_to_json(run)))


def json_bytes(value: Any) -> bytes:
    """Indented JSON for people and programs; a number that is not finite raises ValueError."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"


def run_to_json(run: RunResult) -> dict[str, Any]:
    """A run without its samples; lm-eval's names under `results` and `n-samples`."""
    results, counts = {}, {}
    for task, estimates in run.estimates.items():
        results[task] = {"alias": task} | {
            _lm_eval_key(name): found.value for name, found in estimates.items()
        }
        scored = [found.scored for found in estimates.values()]
        asked = [found.n for found in estimates.values()]
        counts[task] = {"original": max(asked, default=0), "effective": max(scored, default=0)}
    return {
        "name": run.name,
        "model": run.model,
        "fingerprint": run.fingerprint,
        "step": run.step,
        "settings": dict(run.settings),
        "results": results,
        "n-samples": counts,
        "nonfinite": run.nonfinite,
        "estimates": {
            task: {n: asdict(e) for n, e in found.items()} for task, found in run.estimates.items()
        },
        "environment": asdict(run.environment) if run.environment else None,
        "timing": dict(run.timing),
    }


def _lm_eval_key(measure: str) -> str:
    """lm-eval's "metric,filter"; a measure without a filter has its plain one."""
    return measure if "," in measure else f"{measure},none"


def read_run(folder: Path) -> RunResult:
    """Read what `write_run` wrote; FileProblem names what is missing or damaged."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileProblem(folder, "there is no such run folder.")
    path = folder / RESULTS
    try:
        value = json.loads(path.read_bytes())
    except OSError as problem:
        raise FileProblem(folder, f"this is not a finished run: {RESULTS} is missing.") from problem
    except ValueError as problem:
        raise FileProblem(path, "this is not JSON; run the evaluation again.") from problem
    if isinstance(value, dict) and "runs" in value:
        names = ", ".join(str(folder / EVALUATIONS / str(run.get("name"))) for run in value["runs"])
        raise FileProblem(folder, f"this is a whole experiment; name one of its runs: {names}.")
    try:
        return replace(run_from_json(value), samples=_read_samples(folder / SAMPLES))
    except KeyError as problem:
        raise FileProblem(path, f"this is not the result of one run ({problem} is missing).") from problem
    except (TypeError, AttributeError) as problem:
        raise FileProblem(path, "this is not the result of one run; run the evaluation again.") from problem


def run_from_json(value: Mapping[str, Any]) -> RunResult:
    """Undo `run_to_json`, which leaves the samples out.

    Raises KeyError, TypeError or AttributeError where the data has another form.
    """
    estimates = {
        task: {name: _estimate(found) for name, found in row.items()}
        for task, row in value["estimates"].items()
    }
    return RunResult(
        name=value["name"],
        model=value["model"],
        fingerprint=value["fingerprint"],
        step=value["step"],
        settings=value["settings"],
        estimates=estimates,
        samples=(),
        nonfinite=value["nonfinite"],
        timing=value["timing"],
        environment=Environment(**value["environment"]) if value.get("environment") else None,
    )


def _read_samples(path: Path) -> tuple[SampleResult, ...]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as problem:
        raise FileProblem(path.parent, f"this is not a finished run: {SAMPLES} is missing.") from problem
    samples = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                samples.append(sample_from_json(json.loads(line)))
            except (ValueError, KeyError, TypeError, AttributeError) as problem:
                raise FileProblem(path, "this is not a sample of a run.", number) from problem
    return tuple(samples)


def sample_to_json(sample: SampleResult) -> dict[str, Any]:
    """One line of samples.jsonl; a log-likelihood that is not finite is the text "nan", "inf" or "-inf"."""
    found = [value if math.isfinite(value) else str(value) for value in sample.loglikelihoods]
    return {
        "task": sample.task,
        "sample_id": sample.sample_id,
        "prompt_hash": sample.prompt_hash,
        "input": sample.input,
        "prompt": _prompt_to_json(sample.prompt),
        "target": sample.target,
        "generation": sample.generation,
        "answer": sample.answer,
        "tokens": sample.tokens,
        "finish": str(sample.finish),
        "failure": sample.failure,
        "scores": {name: score.value for name, score in sample.scores.items()},
        "statistics": {n: list(score.statistics) for n, score in sample.scores.items() if score.statistics},
        "unscored": {n: score.reason for n, score in sample.scores.items() if score.reason is not None},
        "categories": [{"name": found.name, "evidence": found.evidence} for found in sample.categories],
        "metadata": dict(sample.metadata),
        "cut": sample.cut,
        "uncategorized": list(sample.uncategorized),
    } | ({"loglikelihoods": found} if found else {})


def sample_from_json(value: Mapping[str, Any]) -> SampleResult:
    """Undo `sample_to_json`; KeyError, TypeError or ValueError where the data has another form."""
    scores = {
        name: Score(score, tuple(value["statistics"].get(name, ())), value["unscored"].get(name))
        for name, score in value["scores"].items()
    }
    return SampleResult(
        task=value["task"],
        sample_id=value["sample_id"],
        prompt=_prompt_from_json(value["prompt"]),
        prompt_hash=value["prompt_hash"],
        input=value["input"],
        target=value["target"],
        generation=value["generation"],
        answer=value["answer"],
        tokens=value["tokens"],
        finish=Finish(value["finish"]),
        failure=value["failure"],
        scores=scores,
        categories=tuple(Category(found["name"], found["evidence"]) for found in value["categories"]),
        metadata=value["metadata"],
        cut=value.get("cut", 0),
        uncategorized=tuple(value.get("uncategorized", ())),
        loglikelihoods=tuple(float(found) for found in value.get("loglikelihoods", ())),
    )


def _prompt_to_json(prompt: Prompt) -> str | list[dict[str, str]]:
    return prompt if isinstance(prompt, str) else [{"role": m.role, "content": m.content} for m in prompt]


def _prompt_from_json(value: Any) -> Prompt:
    return (
        value if isinstance(value, str) else tuple(Message(turn["role"], turn["content"]) for turn in value)
    )


def _estimate(value: Mapping[str, Any]) -> Estimate:
    return Estimate(**{**value, "scale": tuple(value["scale"])})
