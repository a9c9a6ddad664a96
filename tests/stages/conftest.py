"""Runs made by hand, tasks for the scripted model, and one finished experiment on a tiny model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.pipeline import experiment, write_experiment
from support.tiny_model import build_model

from harness.records import (
    Estimate,
    ExperimentResult,
    Finish,
    Prompt,
    RunResult,
    Sample,
    SampleResult,
    Score,
    prompt_hash,
)
from harness.stages.experiment import Workplace, run_experiment
from harness.stages.settings import ExperimentSettings, load_experiment
from harness.store import Store
from harness.tasks import Task, TaskFile, make_task


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("tiny"))


@dataclass(frozen=True)
class Finished:
    """An experiment that has been run once."""

    folder: Path
    workspace: Path
    settings: ExperimentSettings
    result: ExperimentResult


@pytest.fixture(scope="session")
def finished(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    place = tmp_path_factory.mktemp("finished")
    settings = load_experiment(write_experiment(place, experiment(tiny_model)))
    folder = place / "runs" / settings.name
    with Store.open(place / "runs") as store:
        result = run_experiment(settings, Workplace(folder, store))
    return Finished(folder, place / "runs", settings, result)


def questions(count: int) -> list[Sample]:
    return [Sample(f"s{i}", f"question {i}", f"answer {i}") for i in range(count)]


@pytest.fixture
def task() -> Callable[..., Task]:
    """Make a task of numbered questions, each answered by `answer <number>`."""

    def make(samples: Sequence[Sample] | int = 4, name: str = "numbers", **keys: Any) -> Task:
        keys = {"template": "chat", "metrics": ("exact_match",), "categorizers": (), **keys}
        given = questions(samples) if isinstance(samples, int) else samples
        return make_task(name, given, TaskFile(name=name, data="", **keys))

    return make


def estimate(values: Sequence[float | None], name: str = "exact_match", **changes: Any) -> Estimate:
    kept = [value for value in values if value is not None]
    keys: dict[str, Any] = {
        "measure": name,
        "label": name,
        "value": sum(kept) / len(kept) if kept else None,
        "low": None,
        "high": None,
        "n": len(values),
        "scored": len(kept),
        "level": 0.95,
        "method": "t",
        "signature": f"{name}|test",
        "scale": (0.0, 1.0),
        "higher_is_better": True,
        "binary": False,
    }
    return Estimate(**(keys | changes))


@dataclass(frozen=True)
class RunMaker:
    """Makes a run from scores: measure name -> one value a sample, None where it is unscored."""

    def __call__(
        self,
        scores: dict[str, Sequence[float | None]],
        *,
        name: str = "base",
        task: str = "held_out",
        prompts: Sequence[Prompt] | None = None,
        estimates: dict[str, dict[str, Any]] | None = None,
        **changes: Any,
    ) -> RunResult:
        count = len(next(iter(scores.values())))
        asked = list(prompts) if prompts is not None else [f"prompt {i}" for i in range(count)]
        samples = tuple(
            SampleResult(
                task=task,
                sample_id=f"s{i}",
                prompt=asked[i],
                prompt_hash=prompt_hash(asked[i]),
                input=f"question {i}",
                target=f"answer {i}",
                generation=f"{name} says {i}",
                answer=f"{name} says {i}",
                tokens=3,
                finish=Finish.STOP,
                failure=None,
                scores={
                    measure: Score(values[i], reason=None if values[i] is not None else "no answer")
                    for measure, values in scores.items()
                },
            )
            for i in range(count)
        )
        found = {m: estimate(v, m, **(estimates or {}).get(m, {})) for m, v in scores.items()}
        keys: dict[str, Any] = {
            "name": name,
            "model": "a model",
            "fingerprint": f"weights of {name}",
            "step": None,
            "settings": {},
            "estimates": {task: found},
            "samples": samples,
        }
        return RunResult(**(keys | changes))


@pytest.fixture
def make_run() -> RunMaker:
    return RunMaker()
