"""A result as an experiment would give it: 60 samples, a base and three checkpoints.

Scores are set by hand; estimates and paired differences are computed here with the textbook formulas, so that the page
is tested against figures that did not come from the code under test.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from harness.data.cards import card_from_json
from harness.records import (
    Comparison,
    DataCard,
    Environment,
    Estimate,
    ExperimentResult,
    Finish,
    Message,
    MetricComparison,
    RunResult,
    SampleResult,
    Score,
    Training,
    TrainingPoint,
    Verdict,
    prompt_hash,
)

T_59 = 2.0009954  # quantile 0.975 of Student's t with 59 degrees of freedom (published tables: 2.001)

TOPICS = json.loads(Path(__file__).with_name("topics.json").read_text(encoding="utf-8"))
"""Ten questions with target, both answers, and their scores as [base, tuned]."""
MEASURES = (
    ("rougeL", "ROUGE-L", False, 1.0),
    ("exact_match", "Exact match", True, 1.0),
    ("bleu", "BLEU", False, 100.0),
)


def wobble(index: int) -> float:
    """A small fixed variation, so that repeated topics do not score alike."""
    return 0.06 * math.sin(2.3 * index)


def values(index: int, share: float) -> dict[str, float]:
    """The scores of one sample where a share of the way from base to tuned has been gone."""
    before, after = TOPICS[index % len(TOPICS)]["rouge"]
    rouge = before + share * (after - before)
    rouge = min(1.0, max(0.0, rouge + wobble(index) * (0.2 < rouge < 0.9)))
    exact = TOPICS[index % len(TOPICS)]["exact"][share > 0.5]
    return {"rougeL": round(rouge, 4), "exact_match": float(exact), "bleu": round(82 * rouge**1.4, 2)}


def sample(index: int, share: float) -> SampleResult:
    """What a checkpoint did with sample number `index`."""
    topic = TOPICS[index % len(TOPICS)]
    question, text = topic["question"], topic["base" if share < 0.5 else "tuned"]
    if index >= len(TOPICS):
        question = question.replace("?", f" in release {2 + index // 10}?")
    prompt = (Message("system", "You answer questions about Kestrel."), Message("user", question))
    return SampleResult(
        task="held_out",
        sample_id=f"q-{index + 1:03d}",
        prompt=prompt,
        prompt_hash=prompt_hash(prompt),
        input=question,
        target=topic["target"],
        generation=text,
        answer=text,
        tokens=max(1, round(len(text.split()) * 1.35)),
        finish=Finish.LENGTH if text.startswith("To move messages") else Finish.STOP,
        failure=None,
        scores={name: Score(value) for name, value in values(index, share).items()},
        metadata={"area": ("Command line", "Configuration", "Web console")[index % 3]},
    )


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's interval at 95 % (Wilson 1927)."""
    z = 1.959963985
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half


def estimate(name: str, scores: Sequence[float]) -> Estimate:
    """The mean with its interval."""
    label, binary, top = next((m[1], m[2], m[3]) for m in MEASURES if m[0] == name)
    n, mean = len(scores), fmean(scores)
    half = T_59 * stdev(scores) / math.sqrt(n) if n > 1 else 0.0
    low, high = wilson(sum(scores), n) if binary else (mean - half, mean + half)
    return Estimate(
        measure=name,
        label=label,
        value=mean,
        low=low if n > 1 else None,
        high=high if n > 1 else None,
        n=n,
        scored=n,
        level=0.95,
        method="wilson" if binary else "t",
        signature=f"{name}|stemmer:no|version:0.1.2",
        scale=(0.0, top),
        higher_is_better=True,
        binary=binary,
    )


def run(name: str, step: int | None, share: float, count: int = 60) -> RunResult:
    """A checkpoint's run over all samples."""
    samples = tuple(sample(index, share) for index in range(count))
    estimates = {
        measure[0]: estimate(measure[0], [s.scores[measure[0]].value or 0.0 for s in samples])
        for measure in MEASURES
    }
    return RunResult(
        name=name,
        model="smollm2-135m-q4" if step is None else f"runs/docs-qa/checkpoint-{step}",
        fingerprint={None: "3f9c21ab77d0", 50: "b81e09c4aa12", 100: "a77e05d4c3f1", 150: "0d4477e1b2c9"}.get(
            step, "ff"
        ),
        step=step,
        settings={"dtype": "bfloat16", "decoding": "greedy", "template": "chat", "seed": "7"},
        estimates={"held_out": estimates},
        samples=samples,
        timing={"model_seconds": 41.0},
    )


def metric(name: str, base: RunResult, tuned: RunResult) -> MetricComparison:
    """Paired differences with Student's t."""
    pairs = [
        (a.scores[name].value or 0.0, b.scores[name].value or 0.0)
        for a, b in zip(base.samples, tuned.samples, strict=True)
    ]
    deltas = [b - a for a, b in pairs]
    mean = fmean(deltas)
    half = T_59 * stdev(deltas) / math.sqrt(len(deltas))
    verdict = Verdict.BETTER if mean > half else Verdict.WORSE if mean < -half else Verdict.NOT_DECIDED
    first = base.estimates["held_out"][name]
    return MetricComparison(
        task="held_out",
        measure=name,
        label=first.label,
        base=first,
        tuned=tuned.estimates["held_out"][name],
        n=len(deltas),
        delta=mean,
        low=mean - half,
        high=mean + half,
        level=0.95,
        p=0.00004 if verdict is Verdict.BETTER else 0.1371,
        p_adjusted=0.00012 if verdict is Verdict.BETTER else 0.1371,
        test="paired t",
        wins=sum(1 for d in deltas if d > 0),
        losses=sum(1 for d in deltas if d < 0),
        ties=sum(1 for d in deltas if d == 0),
        verdict=verdict,
        within_tolerance=False,
        needed=140 if verdict is Verdict.NOT_DECIDED else None,
        tolerance=0.02,
        primary=name == "rougeL",
    )


def compared(base: RunResult, tuned: RunResult) -> Comparison:
    """All measures of two runs."""
    metrics = tuple(metric(name, base, tuned) for name, *_ in MEASURES)
    return Comparison(
        base=base.name,
        tuned=tuned.name,
        metrics=metrics,
        primary=metrics[0],
        verdict=metrics[0].verdict,
        sentence="The tuned checkpoint is better.",
    )


def training() -> Training:
    """150 steps with a cosine learning rate and a validation loss every 50."""
    points = [
        TrainingPoint(
            step=step,
            epoch=step / 75,
            loss=1.38 + 1.25 * math.exp(-step / 28) + 0.07 * math.sin(1.7 * step),
            learning_rate=2e-4 * min(1.0, step / 8) * 0.5 * (1 + math.cos(math.pi * step / 150)),
            gradient_norm=0.75 + 1.1 * math.exp(-step / 12) + 0.1 * math.cos(3 * step),
        )
        for step in range(2, 151, 2)
    ]
    points += [
        TrainingPoint(step=step, epoch=step / 75, validation_loss=loss)
        for step, loss in ((50, 1.7741), (100, 1.6102), (150, 1.5823))
    ]
    return Training(
        method="lora",
        settings={"rank": "16", "alpha": "32", "learning_rate": "0.0002", "batch": "16", "dtype": "bfloat16"},
        points=tuple(points),
        steps=150,
        epochs=2.0,
        trainable_parameters=4_884_480,
        total_parameters=139_399_488,
        tokens=412_338,
        checkpoints=((50, "checkpoint-50"), (100, "checkpoint-100"), (150, "checkpoint-150")),
        adapter_bytes=9_768_960,
        timing={"seconds": 1164.0},
    )


def card() -> DataCard:
    """1,312 rows, of which 1,280 were used; 2 of 60 test questions leaked."""
    return card_from_json(json.loads(Path(__file__).with_name("card.json").read_text(encoding="utf-8")))


def environment() -> Environment:
    return Environment(
        harness="0.1.0",
        python="3.11.9",
        platform="Linux x86_64",
        packages={"torch": "2.13.0", "transformers": "5.20.0", "peft": "0.18.1"},
        device="cpu",
        threads=2,
        seeds={"split": 7, "training": 7},
        command="harness run /home/alice/projects/docs-qa.yaml",
    )


@pytest.fixture
def result() -> ExperimentResult:
    """The whole experiment."""
    base = run("base", None, 0.0)
    tuned = (run("step-50", 50, 0.6), run("step-100", 100, 0.92), run("step-150", 150, 1.0))
    return ExperimentResult(
        name="docs-qa",
        runs=(base, *tuned),
        comparisons=tuple(compared(base, checkpoint) for checkpoint in tuned),
        chosen=3,
        chosen_reason="it has the lowest validation loss",
        environment=environment(),
        data=card(),
        training=training(),
        digests={"results.json": "5d0f8e12" + "0" * 56, "samples.jsonl": "c41b77a9" + "0" * 56},
    )


@pytest.fixture
def single(result: ExperimentResult) -> ExperimentResult:
    """One checkpoint, nothing to compare with."""
    return replace(
        result, runs=result.runs[:1], comparisons=(), chosen=None, chosen_reason="", training=None, data=None
    )


@dataclass
class Element:
    """A node of a parsed page; a text node has the tag ""."""

    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    children: list[Element] = field(default_factory=list)
    data: str = ""

    def walk(self) -> Iterator[Element]:
        """This node and all below it, in document order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def all(self, tag: str = "", **attrs: str) -> list[Element]:
        """Every element with this tag and these attributes; `css` matches one of its classes."""
        wanted = attrs.pop("css", None)
        return [
            node
            for node in self.walk()
            if node.tag
            and tag in ("", node.tag)
            and (wanted is None or wanted in node.attrs.get("class", "").split())
            and all(node.attrs.get(key.replace("_", "-")) == value for key, value in attrs.items())
        ]

    def one(self, tag: str = "", **attrs: str) -> Element:
        """The only such element."""
        found = self.all(tag, **attrs)
        assert len(found) == 1, (tag, attrs, len(found))
        return found[0]

    @property
    def text(self) -> str:
        """All text below, as it stands."""
        return "".join(node.data for node in self.walk())


VOID = {"meta", "br", "input", "link", "img", "hr"}


class _Builder(HTMLParser):
    """Builds a tree and refuses tags that do not match."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("root")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Element(tag, {key: value or "" for key, value in attrs})
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].children.append(Element(tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        opened = self._open.pop()
        assert opened.tag == tag, f"</{tag}> closes <{opened.tag}>"

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(Element("", data=data))


def parsed(html: str) -> Element:
    """The page as a tree; every tag must be closed in order."""
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert len(builder._open) == 1
    return builder.root


@pytest.fixture
def parse() -> Callable[[str], Element]:
    """From HTML to a tree."""
    return parsed


CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


class Visit:
    """A page opened from disk, with what it asked for and complained about."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.page = browser.new_context(**options).new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            self.page.wait_for_selector("html[data-ready=true]", state="attached")

    def ask(self, script: str) -> Any:
        """The value of an expression in the page."""
        return self.page.evaluate(script)


@pytest.fixture
def visit() -> Iterator[Callable[..., Visit]]:
    """Opens a file in a Chromium without a window; options are the browser context's."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield lambda path, **options: Visit(browser, path, **options)
        browser.close()
