"""What else would change the numbers: versions, processor, seeds, the command line."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.records import Environment

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
