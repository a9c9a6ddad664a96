"""What a benchmark run can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.exceptions import BadValue, InputError
from harness.resources import resource

SHIPPED = "shipped"
ADAPTIVE = "adaptive"
FEWSHOT_SEED = 1234
"""lm-eval's own."""


@dataclass(frozen=True)
class BenchSettings:
    """How benchmark tasks are run; None and False leave a task as lm-eval defines it."""

    num_fewshot: int | None = None
    """Worked examples before each question. A task that sets 0 itself keeps 0, as in lm-eval."""
    limit: float | None = None
    """Samples of each leaf task: a whole number from 1, or a share below 1."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """The same for single names of the selection: {"mmlu": 5}."""
    sample_seed: int | None = None
    """With it `limit` takes a random subset, without it the first samples. A larger limit holds the smaller."""
    apply_chat_template: bool = False
    system_instruction: str | None = None
    fewshot_as_multiturn: bool = False
    """Worked examples as turns of their own; only with a chat template."""
    data_dir: Path | None = None
    """Folder of local benchmark files; without it data come from the hub. "shipped", where no such folder is,
    means the small samples that come with the product."""
    fewshot_seed: int = FEWSHOT_SEED
    precision: str | None = None
    """None scores in the model's own dtype; "adaptive" in bfloat16, and in float32 where rounding could change a
    decision. The model's dtype does not count then."""

    def __post_init__(self) -> None:
        if self.num_fewshot is not None and self.num_fewshot < 0:
            raise BadValue("num_fewshot", self.num_fewshot, "0 or more")
        for name, limit in [("limit", self.limit), *((f"limit of {k}", v) for k, v in self.limits.items())]:
            check_limit(name, limit)
        if self.precision not in (None, ADAPTIVE):
            raise BadValue("precision", self.precision, f'"{ADAPTIVE}", or nothing for the dtype alone')
        if self.sample_seed is not None and self.limit is None and not self.limits:
            raise InputError("A sample seed chooses which samples a limit takes; give a limit, too.")
        if self.fewshot_as_multiturn and not self.apply_chat_template:
            raise InputError("Worked examples can be turns of their own only with the chat template.")

    @property
    def folder(self) -> Path | None:
        """The data folder, with "shipped" looked up."""
        if self.data_dir is not None and str(self.data_dir) == SHIPPED and not self.data_dir.exists():
            return resource("tasks", "benchmarks")
        return self.data_dir

    @property
    def source(self) -> str:
        """Where local files come from: a reader must know the small samples, whose scores are their own."""
        folder = self.folder
        if folder is None:
            return "hub"
        return SHIPPED if folder.resolve() == resource("tasks", "benchmarks").resolve() else "local"


def check_limit(name: str, limit: float | None) -> None:
    """Refuse what is neither a whole number from 1 nor a share below 1."""
    if limit is not None and not (0 < limit < 1 or (limit >= 1 and float(limit).is_integer())):
        raise BadValue(name, limit, "a whole number from 1, or a share between 0 and 1")
