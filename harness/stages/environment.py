"""What else would change the numbers: versions, processor, seeds, the command line."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.models.base import Model
from harness.models.hf import HfModel
from harness.records import Environment
from harness.tasks import Task

_PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "tokenizers",
    "rouge-score",
    "sacrebleu",
    "numpy",
    "datasets",
    "lm-eval",
)


def environment(seeds: Mapping[str, int], device: str = "cpu") -> Environment:
    """Describe this process. `command` is the command line as typed, the program without its folder."""
    import torch

    return Environment(
        harness=_version("checkpoint-harness"),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        packages={name: found for name in _PACKAGES if (found := _version(name)) != "not installed"},
        device=f"{device} ({_processor()})" if device == "cpu" else device,
        threads=torch.get_num_threads(),
        seeds=dict(seeds),
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    )


def environment_of(model: Model, tasks: Sequence[Task]) -> Environment:
    """Describe the evaluation of one model in this process."""
    seeds = {f"decoding of {task.name}": task.decoding.seed for task in tasks}
    return environment(seeds, model.resolved[1] if isinstance(model, HfModel) else "remote")


def unknown_environment() -> Environment:
    """Of a run whose folder does not say where it was made."""
    unknown = "not recorded"
    return Environment(unknown, unknown, unknown, {}, unknown, 0, {}, unknown)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
