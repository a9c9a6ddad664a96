"""`harness report RUN...`: draw the page from stored results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.terminal import JsonOption, check_output_file, write_json


def verb(
    runs: Annotated[
        list[Path], typer.Argument(help="An experiment folder, or run folders with the base first.")
    ],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
    primary: Annotated[str | None, typer.Option(help="Measure that gives the overall verdict.")] = None,
    json_file: JsonOption = None,
) -> None:
    """Write one self-contained HTML file."""
    from harness.report import write_report
    from harness.stages.resultfile import experiment_to_json
    from harness.stages.stored import stored_result

    check_output_file(out)
    check_output_file(json_file)
    result = stored_result(runs, primary)
    page = write_report(result, out)
    write_json(experiment_to_json(result), json_file)
    if result.headline is not None:
        typer.echo(result.headline.sentence)
    typer.echo(f"Report: {page}")
