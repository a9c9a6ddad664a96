"""What the verbs share: options, the progress display, the workspace, writing `--json`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from harness.progress import Progress
from harness.stages.layout import check_file, write_output
from harness.stages.runfiles import json_bytes
from harness.store import NoStore, Storage, Store

JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the result as JSON to this file.")]
WorkspaceOption = Annotated[
    Path | None, typer.Option("--workspace", help="Folder of store and runs [./runs, or $HARNESS_WORKSPACE].")
]
NoStoreOption = Annotated[bool, typer.Option("--no-store", help="Neither read nor write stored responses.")]
PickleOption = Annotated[bool, typer.Option("--allow-pickle", help="Also read pickled weights.")]

_PLAIN_SECONDS = 10.0
"""Without a terminal, a line at most this often for each stage."""
_FIRST_SECONDS = 1.0
"""The first line of a stage comes after this: input that is refused at once says so in one line."""


def workspace_of(given: Path | None) -> Path:
    """The workspace folder."""
    return given or Path(os.environ.get("HARNESS_WORKSPACE") or "runs")


@contextmanager
def open_store(workspace: Path, *, no_store: bool) -> Iterator[Storage]:
    """The workspace's store, or none."""
    if no_store:
        yield NoStore()
    else:
        with Store.open(workspace) as store:
            yield store


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """A bar with time left on a terminal, plain lines elsewhere; both on stderr."""
    if sys.stderr.isatty():
        with _bars() as progress:
            yield progress
    else:
        yield _PlainProgress()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<28}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        known: dict[str, Any] = {}

        def show(stage: str, done: int, total: int, note: str = "") -> None:
            if stage not in known:
                known[stage] = bars.add_task(stage, total=total or None, note="")
            bars.update(known[stage], completed=done, total=total or None, note=note)

        yield show


class _PlainProgress:
    """A line a second into a stage, one every few seconds after that, and one when it ends."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        now = time.monotonic()
        last = self._last.setdefault(stage, now - _PLAIN_SECONDS + _FIRST_SECONDS)
        if done >= total > 0 or now - last >= _PLAIN_SECONDS:
            self._last[stage] = now
            share = f" {done} of {total}" if total else ""
            sys.stderr.write(f"{stage}:{share}{', ' + note if note else ''}\n")


def write_json(value: Any, path: Path | None) -> None:
    """Write the result of a verb where `--json` asks for it."""
    if path is None:
        return
    write_output(path, json_bytes(value))


def check_output_file(path: Path | None) -> None:
    """Refuse an output file that cannot be one, before any work."""
    if path is not None:
        check_file(path)
