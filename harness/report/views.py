"""What stands on the page, as frozen data: every figure already written out, every chart as plain numbers.

The summarising modules fill these records, the charts and the templates read them. Nothing below computes.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.report.diff import Run
from harness.report.figures import Bars, Glance, Line, LossChart, PlotAxis, RowPlot, ScoreCurve, Table
from harness.wording.parts import Part, Quantity, Rich


@dataclass(frozen=True, slots=True)
class Mark:
    """A verdict as a symbol and a word; css is "better", "worse", "no", "not" or "broken"."""

    symbol: str
    word: str
    css: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A term with its text, and a hash or command in monospace after it."""

    term: str
    text: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the five questions with its answer and the section that holds the evidence."""

    question: str
    parts: Rich
    link: str = ""
    link_text: str = ""


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The first screen."""

    headline: Rich
    glance: Glance | None
    answers: tuple[Answer, ...]
    cautions: tuple[str, ...]
    provenance: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One measure, tuned against base."""

    name: str
    note: str
    base: Quantity
    tuned: Quantity
    change: str
    interval: str
    plot: RowPlot
    p: str
    n: str
    mark: Mark
    key: bool
    few: bool


@dataclass(frozen=True, slots=True)
class MetricGroup:
    """The measures of one task; title is "" where there is only one task."""

    title: str
    rows: tuple[MetricRow, ...]


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One measure of a single checkpoint."""

    name: str
    value: Quantity
    interval: str
    plot: RowPlot
    n: str
    method: str
    few: bool


@dataclass(frozen=True, slots=True)
class ScoreGroup:
    """The measures of one task of a single checkpoint."""

    title: str
    rows: tuple[ScoreRow, ...]


@dataclass(frozen=True, slots=True)
class MetricsView:
    """The metric table: `groups` for a comparison, `scores` for a single checkpoint."""

    finding: str
    level: str
    axis: PlotAxis | None
    groups: tuple[MetricGroup, ...]
    scores: tuple[ScoreGroup, ...]
    note: str
    tests: Table | None


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """One tuned checkpoint against the base on the primary measure."""

    name: str
    value: Quantity
    change: str
    interval: str
    plot: RowPlot
    loss: str
    mark: Mark
    chosen: bool
    few: bool


@dataclass(frozen=True, slots=True)
class CheckpointsView:
    """All checkpoints of one training, and which one was chosen."""

    finding: str
    lede: str
    level: str
    label: str
    base: Quantity
    axis: PlotAxis
    rows: tuple[CheckpointRow, ...]
    curve: ScoreCurve | None


@dataclass(frozen=True, slots=True)
class Pane:
    """One checkpoint's answer to one sample."""

    kind: str
    title: str
    note: str
    runs: tuple[Run, ...]
    empty: str
    """Said in place of an empty answer; "" otherwise."""
    problem: str
    chips: tuple[str, ...]
    reasons: tuple[tuple[str, str], ...]
    """(category, evidence)."""
    generation: str
    """The raw generation where the answer was extracted from it; "" where they are the same."""


@dataclass(frozen=True, slots=True)
class SampleScore:
    """One measure on one sample."""

    name: str
    values: tuple[str, ...]
    change: str


@dataclass(frozen=True, slots=True)
class SampleView:
    """One test sample with all that was answered to it."""

    id: str
    name: str
    status: str
    mark: Mark
    change: str
    meta: str
    brief: str
    """The question on one short line, for the list."""
    question: str
    context: str
    """The whole prompt as it was sent."""
    target: str | None
    panes: tuple[Pane, ...]
    scores: tuple[SampleScore, ...]
    categories: tuple[str, ...]
    note: str
    open: bool
    lead: bool
    """Also printed on paper."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A button over the sample list."""

    status: str
    symbol: str
    label: str
    count: str


@dataclass(frozen=True, slots=True)
class SamplesView:
    """Every test sample, the largest loss first."""

    finding: str
    histogram: Bars | None
    filters: tuple[Filter, ...]
    categories: tuple[str, ...]
    samples: tuple[SampleView, ...]
    heads: tuple[Part, ...]
    """Heads of the score columns."""
    compared: bool
    note: str
    paper: str


@dataclass(frozen=True, slots=True)
class ForgettingRow:
    """One benchmark by its leading measure, tuned against base."""

    name: str
    note: str
    base: Quantity
    tuned: Quantity
    change: str
    interval: str
    plot: RowPlot
    guessing: Quantity
    n: str
    mark: Mark
    few: bool


@dataclass(frozen=True, slots=True)
class ForgettingView:
    """General ability beside the task that was trained for."""

    finding: str
    lede: str
    level: str
    axis: PlotAxis
    rows: tuple[ForgettingRow, ...]
    note: str
    lost: Table
    lost_note: str
    checkpoints: Table | None
    measures: Table


@dataclass(frozen=True, slots=True)
class TrainingView:
    """The training that made the checkpoints."""

    finding: str
    lede: str
    loss: LossChart | None
    lines: tuple[Line, ...]
    table: Table | None
    price: tuple[Fact, ...]
    settings: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class DataView:
    """What is in the data and what preparation did to it."""

    finding: str
    lede: str
    flow: Table
    splits: Table
    facts: tuple[Fact, ...]
    leaks: tuple[tuple[str, str], ...]
    leaks_note: str
    lengths: Bars | None
    examples: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MethodsView:
    """All that is needed to repeat the numbers."""

    facts: tuple[Fact, ...]
    runs: Table
    packages: Table | None
    signatures: Table | None


@dataclass(frozen=True, slots=True)
class Page:
    """The whole report; None for a section without data."""

    name: str
    subtitle: str
    title: str
    contents: tuple[tuple[str, str], ...]
    """(element id, name) of the sections drawn."""
    verdict: VerdictView
    metrics: MetricsView
    checkpoints: CheckpointsView | None
    samples: SamplesView | None
    forgetting: ForgettingView | None
    training: TrainingView | None
    data: DataView | None
    methods: MethodsView
    footer: str
