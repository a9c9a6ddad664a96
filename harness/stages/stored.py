"""An experiment result from what is stored: an experiment folder, or run folders with the base first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.exceptions import InputError
from harness.records import Environment, ExperimentResult, RunResult
from harness.stages.compare import CompareSettings, compare
from harness.stages.environment import unknown_environment
from harness.stages.resultfile import is_experiment, read_experiment
from harness.stages.runfiles import read_run


def stored_result(folders: Sequence[Path], primary: str | None = None) -> ExperimentResult:
    """Read results without running anything."""
    if len(folders) == 1 and is_experiment(folders[0]):
        result = read_experiment(folders[0])
        if primary is None:
            return result
        settings = _as_before(result, primary)
        comparisons = tuple(compare(result.runs[0], run, settings) for run in result.runs[1:])
        return replace(result, comparisons=comparisons)
    return result_of_runs([read_run(folder) for folder in folders], CompareSettings(primary))


def _as_before(result: ExperimentResult, primary: str) -> CompareSettings:
    """Return another primary measure with the level, tolerance and seed that the experiment was compared with."""
    settings = CompareSettings(primary, seed=result.environment.seeds.get("bootstrap", 0))
    known = [metric for comparison in result.comparisons for metric in comparison.metrics]
    if not known:
        return settings
    judged = [each.metric for comparison in result.comparisons for each in comparison.forgetting]
    if judged:
        settings = replace(settings, forgetting_tolerance=judged[0].tolerance)
    return replace(settings, alpha=round(1 - known[0].level, 12), tolerance=known[0].tolerance)


def result_of_runs(
    runs: Sequence[RunResult], settings: CompareSettings | None = None, name: str = "comparison"
) -> ExperimentResult:
    """Compare the first run with each of the others; the last one named speaks for the tuned ones."""
    if not runs:
        raise InputError("There is no run to report on.")
    named = _distinct(runs)
    several = len(named) > 1
    return ExperimentResult(
        name=name if several else named[0].name,
        runs=named,
        comparisons=tuple(compare(named[0], run, settings) for run in named[1:]),
        chosen=len(named) - 1 if several else None,
        chosen_reason="the last one named" if several else "there is one checkpoint only",
        environment=_environment(named, settings or CompareSettings()),
        digests={"base": named[0].fingerprint},
    )


def _environment(runs: Sequence[RunResult], settings: CompareSettings) -> Environment:
    """Where the runs were made, as the first one says, with the seed of this comparison."""
    made = runs[0].environment or unknown_environment()
    return replace(made, seeds={**made.seeds, "bootstrap": settings.seed})


def _distinct(runs: Sequence[RunResult]) -> tuple[RunResult, ...]:
    """Give runs of the same name a number, so that tables can tell them apart."""
    seen: dict[str, int] = {}
    named = []
    for run in runs:
        seen[run.name] = seen.get(run.name, 0) + 1
        count = seen[run.name]
        named.append(run if count == 1 else replace(run, name=f"{run.name} ({count})"))
    return tuple(named)
