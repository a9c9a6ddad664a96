"""`harness finetune MODEL DATA`: train and save checkpoints."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.terminal import JsonOption, check_output_file, shown_progress, write_json


def verb(
    model: Annotated[str, typer.Argument(help="Alias, hub id, folder or .gguf file.")],
    data_file: Annotated[str, typer.Argument(help="Data file or hub data set.")],
    out: Annotated[Path, typer.Option(help="Folder for prepared data and checkpoints.")] = Path("tuned"),
    method: Annotated[str, typer.Option(help="lora or full.")] = "lora",
    template: Annotated[str, typer.Option(help="Prompt template: a name or Jinja text.")] = "chat",
    epochs: Annotated[float, typer.Option(help="Passes over the training rows.")] = 2.0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE of the tune: block, e.g. rank=8. Repeatable.")
    ] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="FIELD=COLUMN, e.g. input=question. Repeatable.")
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Prepare the data and fine-tune on its training part."""
    from harness.cli.data_options import data_settings
    from harness.cli.options import key_values
    from harness.stages.finetune import finetune_on, split_lengths
    from harness.tasks.strict import build
    from harness.tuning import TuneSettings

    check_output_file(json_file)
    lengths, keys = split_lengths(key_values(setting))
    data = data_settings({"path": data_file, "template": template, **lengths}, {}, column)
    settings = build(TuneSettings, {"method": method, "epochs": epochs, **keys}, where="tune")
    with shown_progress() as progress:
        tuned = finetune_on(model, data, settings, out, progress=progress)
    training = tuned.training
    losses = [point.validation_loss for point in training.points if point.validation_loss is not None]
    said = f", validation loss {losses[-1]:.3f}" if losses else ""
    typer.echo(f"{training.steps} steps, {training.tokens:,} tokens{said}.")
    for step, folder in training.checkpoints:
        typer.echo(f"Checkpoint, step {step}: {folder}")
    write_json(asdict(training), json_file)
