"""The experiment's `results.json`: everything but the texts, every wall-clock figure under `timing`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness.exceptions import FileProblem
from harness.records import ExperimentResult, RunResult, Training
from harness.stages.layout import CHECKPOINTS, EVALUATIONS, write_output
from harness.stages.runfiles import RESULTS, json_bytes, read_run, run_to_json


def write_experiment(result: ExperimentResult, folder: Path) -> Path:
    """Write `results.json`; the runs themselves stand in `eval/`."""
    path = folder / RESULTS
    write_output(path, json_bytes(experiment_to_json(result)))
    return path


def experiment_to_json(result: ExperimentResult) -> dict[str, Any]:
    """The whole experiment as plain data; `results` and `estimates` are those of the chosen checkpoint."""
    chosen = run_to_json(result.runs[result.chosen or 0])
    headline = result.headline
    runs = [_stored_form(run) for run in result.runs]
    return {
        "name": result.name,
        "verdict": str(headline.verdict) if headline else None,
        "sentence": headline.sentence if headline else None,
        "checkpoint": chosen["name"],
        "results": chosen["results"],
        "n-samples": chosen["n-samples"],
        "estimates": chosen["estimates"],
        "chosen": result.chosen,
        "chosen_reason": result.chosen_reason,
        "comparisons": [asdict(comparison) for comparison in result.comparisons],
        "runs": runs,
        "data": asdict(result.data) if result.data else None,
        "training": _training_to_json(result.training),
        "environment": asdict(result.environment),
        "digests": dict(result.digests),
        "timing": {
            "training": dict(result.training.timing) if result.training else {},
            "runs": {run.name: dict(run.timing) for run in result.runs},
        },
    }


def _training_to_json(training: Training | None) -> dict[str, Any] | None:
    if training is None:
        return None
    named = tuple((step, Path(folder).name) for step, folder in training.checkpoints)
    return _without_timing(asdict(replace(training, checkpoints=named)))


def _stored_form(run: RunResult) -> dict[str, Any]:
    """A run as it stands in the experiment's file; the environment of all runs stands there once."""
    return {key: inner for key, inner in _without_timing(run_to_json(run)).items() if key != "environment"}


def _without_timing(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if key != "timing"}


def is_experiment(folder: Path) -> bool:
    """Whether this folder is an experiment's, not one run's."""
    return (folder / EVALUATIONS).is_dir() and (folder / RESULTS).is_file()


def read_experiment(folder: Path) -> ExperimentResult:
    """Read what `write_experiment` and `write_run` wrote; equal to the result that was written there."""
    from pydantic import TypeAdapter, ValidationError

    path = folder / RESULTS
    try:
        value = json.loads(path.read_bytes())
        runs = tuple(read_run(folder / EVALUATIONS / run["name"]) for run in value["runs"])
        if json.loads(json_bytes([_stored_form(run) for run in runs])) != value["runs"]:
            raise FileProblem(
                folder, "some of its runs were made again later; give the command of the experiment again."
            )
        training = value["training"]
        if training is not None:
            saves = [(step, str(folder / CHECKPOINTS / name)) for step, name in training["checkpoints"]]
            training = {**training, "checkpoints": saves, "timing": value["timing"]["training"]}
        return replace(
            TypeAdapter(ExperimentResult).validate_python(
                {
                    "name": value["name"],
                    "runs": (),
                    "comparisons": value["comparisons"],
                    "chosen": value["chosen"],
                    "chosen_reason": value["chosen_reason"],
                    "environment": value["environment"],
                    "data": value["data"],
                    "training": training,
                    "digests": value["digests"],
                }
            ),
            runs=runs,
        )
    except OSError as problem:
        raise FileProblem(path, "this experiment has no results yet.") from problem
    except (ValueError, KeyError, TypeError, ValidationError) as problem:
        raise FileProblem(path, "this is not the result of an experiment; run it again.") from problem
