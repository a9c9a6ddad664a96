"""Compare two runs: samples joined by task and prompt hash, each measure paired, one verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.exceptions import BadValue, InputError, UnknownName
from harness.metrics.aggregate import measure_of
from harness.metrics.base import Measure
from harness.metrics.comparison import Place, Rules, Side, adjust, compare_measure
from harness.records import Comparison, MetricComparison, RunResult, SampleResult, Verdict
from harness.wording.headline import comparison_sentence

PRIMARY_ORDER = ("rougeL", "exact_match")
"""Measures that give the overall verdict unless the user names one, the first that was scored."""
_NAMED = 5
"""Sample ids named in a warning."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """The `compare:` block of an experiment file."""

    primary: str | None = None
    """Measure that gives the overall verdict, as "rougeL" or "task/rougeL"."""
    alpha: float = 0.05
    tolerance: float = 0.02
    """The loss that is still acceptable, as a share of the measure's range."""
    seed: int = 0
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise BadValue("compare.alpha", self.alpha, "between 0 and 1, for example 0.05")
        if not 0 <= self.tolerance <= 1:
            raise BadValue("compare.tolerance", self.tolerance, "a share from 0 to 1")

    def rules(self) -> Rules:
        """The same for one measure."""
        return Rules(self.tolerance, 1 - self.alpha, self.seed)


@dataclass(frozen=True)
class _Joined:
    """Samples of both runs in common order, by task; and those that have no partner, by reason."""

    pairs: Mapping[str, list[tuple[SampleResult, SampleResult]]]
    unpaired: Mapping[str, tuple[str, ...]]


def compare(
    base: RunResult,
    tuned: RunResult,
    settings: CompareSettings | None = None,
    measures: Sequence[Measure] = (),
) -> Comparison:
    """Compare tuned with base over the samples both were asked.

    measures: those of third-party corpus metrics, which a stored run cannot hold. Raises InputError where the
    runs share no task, or the primary measure is not among those scored.
    """
    settings = settings or CompareSettings()
    shared = [task for task in base.estimates if task in tuned.estimates]
    if not shared:
        raise InputError(
            f"The runs {base.name!r} and {tuned.name!r} share no task: "
            f"{', '.join(base.estimates) or 'none'} against {', '.join(tuned.estimates) or 'none'}."
        )
    chosen = choose_primary(base, tuned, settings.primary)
    joined = _join(base, tuned, shared)
    found: list[MetricComparison] = []
    for task in shared:
        left, right = base.estimates[task], tuned.estimates[task]
        for name in (name for name in left if name in right):
            pairs = joined.pairs[task]
            found.append(
                compare_measure(
                    measure_of(left[name], measures),
                    Side(left[name], [a.scores[name] for a, _ in pairs]),
                    Side(right[name], [b.scores[name] for _, b in pairs]),
                    Place(task, primary=(task, name) == chosen),
                    settings.rules(),
                    nonfinite=base.nonfinite + tuned.nonfinite,
                )
            )
    metrics = adjust(found)
    primary = next((metric for metric in metrics if metric.primary), None)
    verdict = primary.verdict if primary else Verdict.NOT_DECIDED
    if base.nonfinite + tuned.nonfinite:
        verdict = Verdict.BROKEN
    comparison = Comparison(
        base=base.name,
        tuned=tuned.name,
        metrics=metrics,
        primary=primary,
        verdict=verdict,
        sentence="",
        warnings=_warnings(base, tuned, joined),
        unpaired=joined.unpaired,
    )
    return replace(comparison, sentence=comparison_sentence(comparison, base, tuned))


def choose_primary(base: RunResult, tuned: RunResult, wanted: str | None) -> tuple[str, str] | None:
    """Return (task, measure) that gives the verdict; None where nothing is scored on both sides."""
    both = [
        (task, name)
        for task, measures in base.estimates.items()
        for name in measures
        if name in tuned.estimates.get(task, {})
    ]
    if wanted is None:
        preferred = (pair for name in PRIMARY_ORDER for pair in both if pair[1] == name)
        return next(preferred, both[0] if both else None)
    return _find_primary(wanted, both)


def check_primary(wanted: str | None, measures: Mapping[str, Iterable[str]]) -> None:
    """Refuse a primary measure that no task will score (task name -> measure names), before any model runs."""
    if wanted is not None:
        _find_primary(wanted, [(task, name) for task, names in measures.items() for name in names])


def _find_primary(wanted: str, there: Sequence[tuple[str, str]]) -> tuple[str, str]:
    for task, name in there:
        if wanted in {name, f"{task}/{name}"}:
            return task, name
    raise UnknownName("primary measure", wanted, [name for _, name in there])


def _join(base: RunResult, tuned: RunResult, tasks: Sequence[str]) -> _Joined:
    """Join on task and prompt hash; a prompt that stands twice is joined in order.

    A sample of a benchmark counts for the groups its task belongs to as well ("mmlu", "mmlu_stem").
    """
    left, right = keyed(base), keyed(tuned)
    pairs: dict[str, list[tuple[SampleResult, SampleResult]]] = {task: [] for task in tasks}
    changed = []
    for key, sample in left.items():
        if key in right and sample.task in pairs:
            if sample.target == right[key].target:
                for name in (sample.task, *sample.metadata.get("groups", "").split()):
                    if name in pairs:
                        pairs[name].append((sample, right[key]))
            else:
                changed.append(f"{sample.task}/{sample.sample_id}")
    unpaired = {
        "given another target": tuple(changed),
        f"only in {base.name}": tuple(f"{s.task}/{s.sample_id}" for k, s in left.items() if k not in right),
        f"only in {tuned.name}": tuple(f"{s.task}/{s.sample_id}" for k, s in right.items() if k not in left),
    }
    return _Joined(pairs, {reason: ids for reason, ids in unpaired.items() if ids})


def keyed(run: RunResult) -> dict[tuple[str, str, int], SampleResult]:
    """Samples by task, prompt hash, and which occurrence of that prompt it is: what comparisons join on."""
    seen: Counter[tuple[str, str]] = Counter()
    keyed: dict[tuple[str, str, int], SampleResult] = {}
    for sample in run.samples:
        prompt = (sample.task, sample.prompt_hash)
        keyed[(*prompt, seen[prompt])] = sample
        seen[prompt] += 1
    return keyed


def _warnings(base: RunResult, tuned: RunResult, joined: _Joined) -> tuple[str, ...]:
    said = []
    for reason, ids in joined.unpaired.items():
        more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
        what = "1 sample is" if len(ids) == 1 else f"{len(ids)} samples are"
        left = "It is" if len(ids) == 1 else "They are"
        said.append(f"{what} {reason} ({', '.join(ids[:_NAMED])}{more}). {left} left out.")
    for run in (base, tuned):
        failed = [sample for sample in run.samples if sample.failure is not None]
        if failed:
            said.append(
                f"No answer from {run.name} to {len(failed)} of {len(run.samples)} samples "
                f"({failed[0].failure}). Such samples are left out, not counted as wrong."
            )
    ours, theirs = base.settings.get("dtype"), tuned.settings.get("dtype")
    if ours != theirs:
        said.append(
            f"{base.name} ran in {ours or 'an unknown number format'}, {tuned.name} in "
            f"{theirs or 'an unknown one'}. Part of the change may come from that."
        )
    if base.environment and tuned.environment and base.environment.packages != tuned.environment.packages:
        said.append(f"{base.name} and {tuned.name} were made with different versions of the libraries.")
    if base.fingerprint == tuned.fingerprint:
        said.append("Both runs are of the same weights: the tuned checkpoint is the base.")
    return tuple(said)
