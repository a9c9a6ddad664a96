"""Compare two runs: samples joined by task and prompt hash, each measure paired, one verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.exceptions import BadValue, InputError, UnknownName
from harness.metrics.aggregate import measure_of
from harness.metrics.base import Measure
from harness.metrics.comparison import Place, Rules, Side, adjust, compare_measure
from harness.records import Comparison, Estimate, MetricComparison, RunResult, SampleResult, Score, Verdict
from harness.stages.forgetting import (
    forgetting,
    is_benchmark,
    is_paired,
    leading_measure,
    marked,
    tested_tasks,
)
from harness.wording.headline import comparison_sentence

PRIMARY_ORDER = ("rougeL", "exact_match")
"""Measures that give the overall verdict unless the user names one, the first that was scored."""
NOT_PAIRED = "not paired"
"""The test of a measure that is one figure of the whole task: there is none."""
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
    forgetting_tolerance: float = 0.02
    """The same for general ability: the loss on a benchmark that is no forgetting."""
    seed: int = 0
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise BadValue("compare.alpha", self.alpha, "between 0 and 1, for example 0.05")
        for name in ("tolerance", "forgetting_tolerance"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadValue(f"compare.{name}", getattr(self, name), "a share from 0 to 1")

    def rules(self, *, general: bool = False) -> Rules:
        """The same for one measure of the task, or of general ability."""
        return Rules(self.forgetting_tolerance if general else self.tolerance, 1 - self.alpha, self.seed)


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
    named = chosen if settings.primary is not None or not _only_benchmarks(base, shared) else None
    tested = tested_tasks(shared, base, named)
    found: dict[bool, list[MetricComparison]] = {True: [], False: []}
    for task in shared:
        pairing = _Pairing(task, joined.pairs[task], (base.estimates[task], tuned.estimates[task]), chosen)
        rules = settings.rules(general=task not in tested)
        own = _compare_task(pairing, rules, measures, base.nonfinite + tuned.nonfinite)
        found[task in tested] += own
    metrics = adjust(found[True])
    primary = next((metric for metric in metrics if metric.primary), None)
    verdict = primary.verdict if primary else Verdict.NOT_DECIDED
    if base.nonfinite + tuned.nonfinite:
        verdict = Verdict.BROKEN
    judged = forgetting(base, found[False])
    comparison = Comparison(
        base=base.name,
        tuned=tuned.name,
        metrics=metrics,
        primary=primary,
        verdict=verdict,
        sentence="",
        warnings=(*_warnings(base, tuned, joined), *_whole([*metrics, *found[False]])),
        unpaired=joined.unpaired,
        forgetting=judged,
        benchmarks=marked(found[False], judged),
    )
    return replace(comparison, sentence=comparison_sentence(comparison, base, tuned))


def _only_benchmarks(run: RunResult, tasks: Sequence[str]) -> bool:
    return all(is_benchmark(run.estimates[task]) for task in tasks)


@dataclass(frozen=True)
class _Pairing:
    """One task: its samples in pairs, its estimates of base and tuned, and the primary (task, measure)."""

    task: str
    pairs: Sequence[tuple[SampleResult, SampleResult]]
    estimates: tuple[Mapping[str, Estimate], Mapping[str, Estimate]]
    primary: tuple[str, str] | None


def _compare_task(
    pairing: _Pairing, rules: Rules, measures: Sequence[Measure], nonfinite: int
) -> list[MetricComparison]:
    left, right = pairing.estimates
    found = []
    for name in (name for name in left if name in right):
        scores = _scores(pairing, name)
        own = compare_measure(
            measure_of(left[name], measures),
            Side(left[name], [a for a, _ in scores]),
            Side(right[name], [b for _, b in scores]),
            Place(pairing.task, primary=(pairing.task, name) == pairing.primary),
            rules,
            nonfinite=nonfinite,
        )
        ends = left[name].value, right[name].value
        if not is_paired(left[name]) and ends[0] is not None and ends[1] is not None:
            own = replace(own, delta=ends[1] - ends[0], test=NOT_PAIRED)
        found.append(own)
    return found


def _scores(pairing: _Pairing, name: str) -> list[tuple[Score, Score]]:
    """Both sides' scores of each pair; each task of a group counts alike where the group's value does so."""
    found = [
        (a.task, a.scores[name], b.scores[name])
        for a, b in pairing.pairs
        if name in a.scores and name in b.scores
    ]
    if pairing.estimates[0][name].method != "mean of tasks":
        return [(a, b) for _, a, b in found]
    kept = [(task, a.value, b.value) for task, a, b in found if a.value is not None and b.value is not None]
    counts = Counter(task for task, _, _ in kept)
    weights = {task: len(kept) / len(counts) / count for task, count in counts.items()}
    return [(Score(a * weights[task]), Score(b * weights[task])) for task, a, b in kept]


def choose_primary(base: RunResult, tuned: RunResult, wanted: str | None) -> tuple[str, str] | None:
    """Return (task, measure) that gives the verdict; None where nothing is scored on both sides.

    A benchmark gives it only where it is named, or where only benchmarks were run: the first one's leading measure.
    """
    both = [
        (task, name)
        for task, measures in base.estimates.items()
        for name in measures
        if name in tuned.estimates.get(task, {})
    ]
    if wanted is not None:
        return _find_primary(wanted, both)
    own = [pair for pair in both if not is_benchmark(base.estimates[pair[0]])]
    if both and _only_benchmarks(base, [task for task in base.estimates if task in tuned.estimates]):
        task = both[0][0]
        shared = {name: found for name, found in base.estimates[task].items() if (task, name) in both}
        return task, leading_measure(shared)
    preferred = (pair for name in PRIMARY_ORDER for pair in own if pair[1] == name)
    return next(preferred, own[0] if own else None)


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


def _whole(metrics: Sequence[MetricComparison]) -> list[str]:
    """Measures whose change has no interval, because samples have no share in them."""
    names = [f"{metric.measure} of {metric.task}" for metric in metrics if metric.test == NOT_PAIRED]
    if not names:
        return []
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    one = len(names) == 1
    what = f"{', '.join(names[:_NAMED])}{more} {'is one figure' if one else 'are figures'} of the whole task"
    return [f"{what}, not of its samples. {'Its change has' if one else 'Their changes have'} no interval."]
