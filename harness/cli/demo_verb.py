"""`harness demo`: the pipeline on the data set that ships with the product."""

from __future__ import annotations

from harness.cli.run_verb import run_and_report, stop_if_broken
from harness.cli.terminal import JsonOption, NoStoreOption, WorkspaceOption, check_output_file, workspace_of
from harness.resources import resource


def verb(
    workspace: WorkspaceOption = None, json_file: JsonOption = None, *, no_store: NoStoreOption = False
) -> None:
    """Fine-tune the small default model on questions about this product and compare before and after."""
    from harness.stages.settings import load_experiment

    check_output_file(json_file)
    settings = load_experiment(resource("tasks", "demo.yaml"))
    stop_if_broken(run_and_report(settings, workspace_of(workspace), json_file, no_store=no_store))
