"""Named sets of benchmark tasks, and what each name in a selection stands for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.benchmarks.settings import BenchSettings
from harness.exceptions import InputError


@dataclass(frozen=True, slots=True)
class Chosen:
    """One task or group of lm-eval, with what a suite sets for it."""

    name: str
    num_fewshot: int | None = None
    limit: float | None = None


SUITES: dict[str, tuple[Chosen, ...]] = {
    "leaderboard": (
        Chosen("arc_challenge", 25),
        Chosen("hellaswag", 10),
        Chosen("mmlu", 5),
        Chosen("truthfulqa_mc2"),
    ),
    "quick": (
        Chosen("arc_easy", 0, 200),
        Chosen("hellaswag", 0, 200),
        Chosen("mmlu", 0, 10),
        Chosen("truthfulqa_mc1", None, 200),
    ),
}
"""`leaderboard`: the four of the open leaderboard's first version that need no generation; `quick`: a first look."""


def choose(names: Iterable[str], settings: BenchSettings) -> tuple[Chosen, ...]:
    """Turn names into tasks and groups; what the settings say goes before what a suite says.

    Raises InputError where a name comes twice.
    """
    found: dict[str, Chosen] = {}
    for name in names:
        for chosen in SUITES.get(name, (Chosen(name),)):
            if chosen.name in found:
                raise InputError(f"The benchmark {chosen.name!r} is named twice.")
            found[chosen.name] = _with(chosen, settings)
    if not found:
        raise InputError("No benchmark is named; give at least one task, group or suite.")
    for name in settings.limits:
        if name not in found:
            raise InputError(f"There is a limit for {name!r}, but only these run: {', '.join(found)}.")
    return tuple(found.values())


def _with(chosen: Chosen, settings: BenchSettings) -> Chosen:
    limit = chosen.limit if settings.limit is None else settings.limit
    shots = chosen.num_fewshot if settings.num_fewshot is None else settings.num_fewshot
    return replace(chosen, num_fewshot=shots, limit=settings.limits.get(chosen.name, limit))
