"""`harness prepare DATA_FILE`: clean, split and describe data."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.terminal import JsonOption, check_output_file, shown_progress, write_json


def verb(
    data_file: Annotated[str, typer.Argument(help="JSONL, JSON, CSV, TSV, Parquet file or hub data set.")],
    out: Annotated[Path, typer.Option(help="Folder for train, validation, test and card.")] = Path(
        "prepared"
    ),
    template: Annotated[str, typer.Option(help="Prompt template: a name or Jinja text.")] = "chat",
    model: Annotated[
        str | None, typer.Option(help="Model whose tokens are counted for the histogram.")
    ] = None,
    validation: Annotated[float, typer.Option(help="Share (below 1) or number of validation rows.")] = 0.05,
    test: Annotated[float, typer.Option(help="Share (below 1) or number of test rows.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 7,
    max_length: Annotated[int, typer.Option(help="Longest sequence in tokens.")] = 1024,
    truncation_side: Annotated[str, typer.Option(help="End that is cut off: right or left.")] = "right",
    column: Annotated[
        list[str] | None, typer.Option(help="FIELD=COLUMN, e.g. input=question. Repeatable.")
    ] = None,
    test_file: Annotated[str | None, typer.Option(help="A separate test file.")] = None,
    json_file: JsonOption = None,
) -> None:
    """Write train.jsonl, validation.jsonl, test.jsonl and card.json."""
    from harness.cli.data_options import data_settings, describe_card
    from harness.data.prepare import prepare
    from harness.data.prepared import write_prepared
    from harness.stages.layout import check_folder
    from harness.stages.preparation import check_data

    check_output_file(json_file)
    settings = data_settings(
        {
            "path": data_file,
            "template": template,
            "max_length": max_length,
            "truncation_side": truncation_side,
            "test_path": test_file,
        },
        {"validation": validation, "test": test, "seed": seed},
        column,
    )
    check_folder(out)
    check_data(settings)
    with shown_progress() as progress:
        counter = None
        if model is not None:
            from harness.checkpoints.open import open_model
            from harness.stages.preparation import token_counter

            counter = token_counter(open_model(model, progress=progress))
        prepared = prepare(settings, counter, progress)
        write_prepared(prepared, out)
    for line in describe_card(prepared.card):
        typer.echo(line)
    typer.echo(f"Prepared data: {out}")
    write_json(asdict(prepared.card), json_file)
