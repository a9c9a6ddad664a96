"""`harness compare BASE_RUN TUNED_RUN`: the verdict on two stored runs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.terminal import JsonOption, check_output_file, write_json


def verb(
    base_run: Annotated[Path, typer.Argument(help="Run folder of the base.")],
    tuned_run: Annotated[Path, typer.Argument(help="Run folder of the tuned checkpoint.")],
    primary: Annotated[str | None, typer.Option(help="Measure that gives the overall verdict.")] = None,
    alpha: Annotated[float, typer.Option(help="1 minus the level of the intervals.")] = 0.05,
    tolerance: Annotated[float, typer.Option(help="Acceptable loss, a share of the metric's range.")] = 0.02,
    forgetting_tolerance: Annotated[
        float, typer.Option(help="The same for benchmarks run beside a task, which measure general ability.")
    ] = 0.02,
    json_file: JsonOption = None,
) -> None:
    """Join the runs by prompt, pair every measure, print the table and the verdict."""
    from harness.cli.run_table import comparison_table
    from harness.exceptions import CheckpointBroken
    from harness.records import Verdict
    from harness.stages.compare import CompareSettings, compare
    from harness.stages.runfiles import read_run

    check_output_file(json_file)
    settings = CompareSettings(primary, alpha, tolerance, forgetting_tolerance)
    comparison = compare(read_run(base_run), read_run(tuned_run), settings)
    for line in comparison_table(comparison):
        typer.echo(line)
    for warning in comparison.warnings:
        typer.echo(warning)
    typer.echo(comparison.sentence)
    write_json(asdict(comparison), json_file)
    if comparison.verdict is Verdict.BROKEN:
        raise CheckpointBroken(comparison.sentence)
