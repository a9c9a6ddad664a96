"""`harness run EXPERIMENT`: the whole pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.terminal import (
    JsonOption,
    NoStoreOption,
    WorkspaceOption,
    check_output_file,
    open_store,
    shown_progress,
    workspace_of,
    write_json,
)
from harness.exceptions import CheckpointBroken, InputError
from harness.records import ExperimentResult, Verdict

if TYPE_CHECKING:
    from harness.stages.settings import ExperimentSettings


def verb(
    experiment: Annotated[Path, typer.Argument(help="The experiment's YAML file.")],
    name: Annotated[str | None, typer.Option(help="Use this name instead of the file's.")] = None,
    data: Annotated[
        str | None, typer.Option(help="Use this data file or hub set instead of the file's.")
    ] = None,
    workspace: WorkspaceOption = None,
    json_file: JsonOption = None,
    *,
    no_store: NoStoreOption = False,
) -> None:
    """Prepare, tune, evaluate, compare and report."""
    from harness.stages.settings import load_experiment

    check_output_file(json_file)
    settings = load_experiment(experiment)
    if name is not None:
        settings = replace(settings, name=name)
    if data is not None:
        if settings.data is None:
            raise InputError("--data replaces the path of `data:`, and the experiment has no `data:`.")
        settings = replace(settings, data=replace(settings.data, path=data))
    result = run_and_report(settings, workspace_of(workspace), json_file, no_store=no_store)
    stop_if_broken(result)


def run_and_report(
    settings: ExperimentSettings, workspace: Path, json_file: Path | None, *, no_store: bool
) -> ExperimentResult:
    """Run an experiment, write its report, print the verdict and where the report lies."""
    from harness.cli.data_options import describe_card
    from harness.report import write_report
    from harness.stages.experiment import Workplace, run_experiment
    from harness.stages.layout import check_folder
    from harness.stages.resultfile import experiment_to_json

    folder = workspace / settings.name
    check_folder(folder)
    with open_store(workspace, no_store=no_store) as store, shown_progress() as progress:
        result = run_experiment(settings, Workplace(folder, store, progress))
        page = write_report(result, folder / "report.html")
    write_json(experiment_to_json(result), json_file)
    for line in describe_card(result.data) if result.data else ():
        typer.echo(line)
    if result.headline is not None:
        typer.echo(result.headline.sentence)
    typer.echo(f"Report: {page}")
    return result


def stop_if_broken(result: ExperimentResult) -> None:
    """A broken checkpoint ends with exit code 1, after everything is written."""
    broken = [run for run in result.runs if run.nonfinite]
    if broken:
        names = ", ".join(f"{run.name} ({run.nonfinite} samples)" for run in broken)
        raise CheckpointBroken(f"Numbers that are not finite came from: {names}.")
    if result.headline is not None and result.headline.verdict is Verdict.BROKEN:
        raise CheckpointBroken(result.headline.sentence)
