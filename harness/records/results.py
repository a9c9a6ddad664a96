"""What stages return and reports draw: estimates, runs, comparisons, the data card, the training curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from harness.records.samples import Category, Finish, Prompt, Score


class Verdict(StrEnum):
    """What a comparison says, in the order in which it is decided."""

    BROKEN = "broken"
    BETTER = "better"
    WORSE = "worse"
    NO_WORSE = "no worse"
    NOT_DECIDED = "not decided"


@dataclass(frozen=True, slots=True)
class Estimate:
    """An aggregate with its uncertainty, on the measure's own scale.

    n: samples asked; scored: samples that have a value; low, high: two-sided interval at `level`;
    signature: all that changes the number; method: how the interval was made ("wilson", "t", "bootstrap").
    Values are NaN-free: None where nothing was scored or the interval is not defined (n = 1).
    """

    measure: str
    label: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    scored: int
    level: float
    method: str
    signature: str
    scale: tuple[float, float]
    higher_is_better: bool
    binary: bool


@dataclass(frozen=True, slots=True)
class SampleResult:
    """Everything one checkpoint did with one sample; a line of samples.jsonl."""

    task: str
    sample_id: str
    prompt: Prompt
    prompt_hash: str
    input: str
    target: str | None
    generation: str
    answer: str
    tokens: int
    finish: Finish
    failure: str | None
    scores: Mapping[str, Score]
    """Measure name -> score."""
    categories: tuple[Category, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0
    """Tokens at the prompt's beginning that the model had no room for."""
    uncategorized: tuple[str, ...] = ()
    """Why a categorizer could not look at this answer."""
    loglikelihoods: tuple[float, ...] = ()
    """Of a benchmark's choices, in their order, summed, in natural logs; not always finite."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What else would change the numbers."""

    harness: str
    python: str
    platform: str
    packages: Mapping[str, str]
    device: str
    threads: int
    seeds: Mapping[str, int]
    command: str


@dataclass(frozen=True, slots=True)
class RunResult:
    """One checkpoint x tasks x settings."""

    name: str
    """Short name for tables: "base", "step-50"."""
    model: str
    """What the user named: alias, hub id, folder."""
    fingerprint: str
    step: int | None
    settings: Mapping[str, str]
    """What a reader needs to repeat it: dtype, decoding, template, seed."""
    estimates: Mapping[str, Mapping[str, Estimate]]
    """Task name -> measure name -> estimate."""
    samples: tuple[SampleResult, ...]
    nonfinite: int = 0
    """Samples on which the model returned numbers that are not finite: more than 0 means broken."""
    timing: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock seconds by name; `model_seconds` is the time inside the model."""
    environment: Environment | None = None
    """Where it was made; None where that was not recorded."""


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """One measure of one task, tuned against base on the same samples. delta = tuned - base, on the scale."""

    task: str
    measure: str
    label: str
    base: Estimate
    tuned: Estimate
    n: int
    """Pairs: samples scored on both sides."""
    delta: float | None
    low: float | None
    high: float | None
    level: float
    p: float | None
    p_adjusted: float | None
    """Holm-adjusted over the measures of the comparison."""
    test: str
    """"paired t", "McNemar, mid-p" or "paired bootstrap"."""
    wins: int
    losses: int
    ties: int
    verdict: Verdict
    within_tolerance: bool
    """With WORSE: the whole interval still lies above minus the tolerance."""
    needed: int | None
    """With NOT_DECIDED: about how many more samples would decide; None if unknown."""
    tolerance: float
    """Share of the measure's range."""
    primary: bool = False

    @property
    def points(self) -> float:
        """Factor from this measure's scale to points (hundredths of its range)."""
        low, high = self.base.scale
        return 100.0 / (high - low)


@dataclass(frozen=True, slots=True)
class Forgetting:
    """General ability on one benchmark, by its leading measure, and whether more was lost than is tolerated."""

    metric: MetricComparison
    """The verdict and tolerance in it are those for forgetting."""
    tasks: int
    """lm-eval tasks that the benchmark holds: 1, or those of a group."""
    guessing: float | None
    """What guessing scores, on the measure's scale (mean of 1 / number of choices); None where that is not known."""
    home_made: bool
    """Whether its data are the product's own small samples: not comparable with published scores."""
    held: bool | None
    """True: the interval lies above minus the tolerance. False: the loss is real and larger than the tolerance.
    None: not decided."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs joined by sample."""

    base: str
    tuned: str
    metrics: tuple[MetricComparison, ...]
    primary: MetricComparison | None
    verdict: Verdict
    sentence: str
    """The verdict in words, plain text."""
    warnings: tuple[str, ...] = ()
    unpaired: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Reason -> "task/sample id" of samples that could not be paired."""
    forgetting: tuple[Forgetting, ...] = ()
    """One for each benchmark of general ability, in the order of the run."""
    benchmarks: tuple[MetricComparison, ...] = ()
    """Every measure of those benchmarks and of their parts; `metrics` holds what the tuning was for."""


@dataclass(frozen=True, slots=True)
class LengthHistogram:
    """Tokens of prompt plus answer. counts[i] samples lie in [edges[i], edges[i+1])."""

    edges: tuple[int, ...]
    counts: tuple[int, ...]
    limit: int
    """Longest sequence that is kept whole."""
    cut: int
    """Samples longer than the limit."""
    cut_tokens: int
    """Tokens that truncation removes in all."""
    side: str
    """"right" or "left": the end that is cut off."""
    median: float
    longest: int


@dataclass(frozen=True, slots=True)
class DataCard:
    """What is in the data and what preparation did to it."""

    source: str
    digest: str
    """SHA-256 of the data file."""
    columns: str
    """The recognised column set, for example "question/answer"."""
    template: str
    rows: int
    kept: int
    skipped: Mapping[str, int]
    """Reason -> rows left out ("empty answer": 3)."""
    exact_duplicates: int
    near_duplicates: int
    near_duplicate_threshold: float
    splits: Mapping[str, int]
    seed: int
    leaks: tuple[tuple[str, str], ...]
    """(test sample id, training sample id) pairs whose question is the same in a second file."""
    lengths: LengthHistogram | None
    examples: tuple[tuple[str, str], ...]
    """A few (rendered prompt, answer) pairs as the model sees them."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingPoint:
    """One logged step; None where that quantity was not logged."""

    step: int
    epoch: float
    loss: float | None = None
    validation_loss: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """A finished training: settings, curve, price."""

    method: str
    settings: Mapping[str, str]
    points: tuple[TrainingPoint, ...]
    steps: int
    epochs: float
    trainable_parameters: int
    total_parameters: int
    tokens: int
    """Real (unpadded) training tokens seen."""
    checkpoints: tuple[tuple[int, str], ...]
    """(step, folder) of every complete save, by step."""
    adapter_bytes: int
    timing: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """All of one experiment: base first, then every checkpoint by step."""

    name: str
    runs: tuple[RunResult, ...]
    comparisons: tuple[Comparison, ...]
    """Base against each of runs[1:], in that order."""
    chosen: int | None
    """Index into runs of the checkpoint the verdict speaks of; None for a run without tuning."""
    chosen_reason: str
    environment: Environment
    data: DataCard | None = None
    training: Training | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def headline(self) -> Comparison | None:
        """The comparison of base with the chosen checkpoint."""
        return None if self.chosen is None else self.comparisons[self.chosen - 1]
