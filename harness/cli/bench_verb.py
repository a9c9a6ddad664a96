"""`harness bench MODEL --tasks NAMES`: standard benchmarks, lm-eval's tasks and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.eval_verb import folder_name
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
    tasks: Annotated[
        str,
        typer.Option(help="Suites (leaderboard, quick), groups and tasks of lm-eval, separated by commas."),
    ],
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of local benchmark files [the hub]; shipped: the product's small samples."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder [WORKSPACE/eval/MODEL-bench].")] = None,
    limit: Annotated[
        str | None,
        typer.Option(help="Samples of each task: a number, or a share below 1; for one name: 50,mmlu=5."),
    ] = None,
    num_fewshot: Annotated[int | None, typer.Option(help="Worked examples [the task's or suite's].")] = None,
    sample_seed: Annotated[
        int | None, typer.Option(help="Take a random subset with this seed, not the first samples.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[
        str | None,
        typer.Option(
            help="adaptive: bfloat16, and float32 where rounding could change a decision [the dtype]."
        ),
    ] = None,
    system_instruction: Annotated[str | None, typer.Option(help="Stands before every prompt.")] = None,
    workspace: WorkspaceOption = None,
    json_file: JsonOption = None,
    *,
    apply_chat_template: Annotated[
        bool, typer.Option("--apply-chat-template", help="Ask through the model's chat template.")
    ] = False,
    fewshot_as_multiturn: Annotated[
        bool, typer.Option("--fewshot-as-multiturn", help="Worked examples as turns of the chat.")
    ] = False,
    no_store: NoStoreOption = False,
    allow_pickle: PickleOption = False,
) -> None:
    """Score, and store a run folder with results.json and samples.jsonl."""
    from harness.benchmarks import BenchSettings, bench
    from harness.checkpoints.open import open_model
    from harness.cli.run_table import estimate_table
    from harness.exceptions import CheckpointBroken, InputError
    from harness.stages.environment import environment
    from harness.stages.evaluate import RunLabel
    from harness.stages.layout import EVALUATIONS, check_folder
    from harness.stages.runfiles import run_to_json, write_run
    from harness.stages.settings import EvaluateSettings

    check_output_file(json_file)
    single, limits = read_limits(limit)
    settings = BenchSettings(
        num_fewshot=num_fewshot,
        limit=single,
        limits=limits,
        sample_seed=sample_seed,
        apply_chat_template=apply_chat_template,
        system_instruction=system_instruction,
        fewshot_as_multiturn=fewshot_as_multiturn,
        data_dir=data_dir,
        precision=precision,
    )
    if precision is not None and dtype != "auto":
        raise InputError("Adaptive precision uses bfloat16 and float32; leave --dtype out.")
    running = EvaluateSettings(dtype=dtype, device=device).model_settings()
    place = workspace_of(workspace)
    folder = out or place / EVALUATIONS / f"{folder_name(model)}-bench"
    check_folder(folder)
    with shown_progress() as progress:
        opened = open_model(model, running, allow_pickle=allow_pickle, progress=progress)
        with open_store(place, no_store=no_store) as store:
            resolved = getattr(opened, "resolved", None)
            seeds = {"few-shots": settings.fewshot_seed}
            where = environment(seeds, resolved[1] if resolved else "remote")
            label = RunLabel(folder.name, environment=where)
            names = [name.strip() for name in tasks.split(",") if name.strip()]
            run = bench(opened, names, store, settings, label, progress)
        write_run(run, folder)
    for line in estimate_table(run):
        typer.echo(line)
    for line in cautions(run.settings):
        typer.echo(line)
    typer.echo(f"Run: {folder}")
    write_json(run_to_json(run), json_file)
    if run.nonfinite:
        raise CheckpointBroken(
            f"The model {model} returned numbers that are not finite on {run.nonfinite} of {len(run.samples)} samples."
        )


def read_limits(text: str | None) -> tuple[float | None, dict[str, float]]:
    """The limit for all tasks and those for single names: "50,mmlu=5" is 50 and {"mmlu": 5}."""
    from harness.exceptions import BadValue

    every: float | None = None
    single: dict[str, float] = {}
    for part in text.split(",") if text is not None else []:
        name, equals, number = part.rpartition("=")
        try:
            value = float(number)
        except ValueError as problem:
            raise BadValue("limit", text, "a number such as 40 or 0.1, or with names: 50,mmlu=5") from problem
        if equals:
            single[name.strip()] = value
        elif every is not None:
            raise BadValue("limit", text, "one number for all tasks, and others only with a name: 50,mmlu=5")
        else:
            every = value
    return every, single


def cautions(settings: Mapping[str, str]) -> list[str]:
    """What a run says of its samples beside the numbers: failures, cut prompts, few-shots with the answer."""
    return [
        f"{name}: {value}." for name, value in settings.items() if ", " in name or name.startswith("group ")
    ]
