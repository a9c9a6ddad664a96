"""`harness eval MODEL --task TASK`: score one checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli.terminal import (
    JsonOption,
    NoStoreOption,
    PickleOption,
    WorkspaceOption,
    check_output_file,
    open_store,
    shown_progress,
    workspace_of,
    write_json,
)


def verb(
    model: Annotated[
        str, typer.Argument(help="Alias, hub id, folder, adapter folder, .gguf file or lm_eval:NAME.")
    ],
    task: Annotated[
        list[str],
        typer.Option(
            help="Task name, YAML file, data file, or a fine-tuned folder for its test split. Repeatable."
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="Run folder [WORKSPACE/eval/MODEL].")] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first samples of each task.")] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE of the task, e.g. template=alpaca. Repeatable."),
    ] = None,
    workspace: WorkspaceOption = None,
    json_file: JsonOption = None,
    *,
    no_store: NoStoreOption = False,
    allow_pickle: PickleOption = False,
) -> None:
    """Answer, score and store a run folder with results.json and samples.jsonl."""
    from harness.checkpoints.open import open_model
    from harness.cli.options import key_values
    from harness.cli.run_table import estimate_table
    from harness.exceptions import CheckpointBroken
    from harness.stages.environment import environment_of
    from harness.stages.evaluate import RunLabel, check_names, evaluate
    from harness.stages.heldout import load_other, task_for
    from harness.stages.layout import EVALUATIONS, check_folder
    from harness.stages.runfiles import run_to_json, write_run
    from harness.stages.settings import EvaluateSettings
    from harness.tasks import HELD_OUT

    check_output_file(json_file)
    settings = EvaluateSettings(dtype=dtype, device=device).model_settings()
    place = workspace_of(workspace)
    changes: dict[str, Any] = key_values(setting)
    if limit is not None:
        changes["limit"] = limit
    folder = out or place / EVALUATIONS / folder_name(model)
    check_folder(folder)
    loaded = {name: load_other(name, changes) for name in task if name != HELD_OUT}
    check_names([loaded[name] for name in task if name in loaded])
    with shown_progress() as progress:
        opened = open_model(model, settings, allow_pickle=allow_pickle, progress=progress)
        tasks = [loaded.get(name) or task_for(name, opened, changes) for name in task]
        with open_store(place, no_store=no_store) as store:
            label = RunLabel(folder.name, environment=environment_of(opened, tasks))
            run = evaluate(opened, tasks, store, label, progress)
        write_run(run, folder)
    for each in loaded.values():
        for reason, rows in each.skipped.items():
            typer.echo(f"Skipped in {each.name}, {reason}: {rows:,}.")
    for line in estimate_table(run):
        typer.echo(line)
    typer.echo(f"Run: {folder}")
    write_json(run_to_json(run), json_file)
    if run.nonfinite:
        raise CheckpointBroken(
            f"The model {model} returned numbers that are not finite on {run.nonfinite} of {len(run.samples)} samples."
        )


def folder_name(model: str) -> str:
    """A model's name as the name of a folder: letters, digits, `-`, `.` and `_`."""
    plain = "".join(c if c.isalnum() or c in "-._" else "-" for c in model)
    return plain.strip("-.") or "model"
