"""A result as an experiment would give it: 60 samples, a base and three checkpoints.

Scores are set by hand; estimates and paired differences are computed here with the textbook formulas, so that the page
is tested against figures that did not come from the code under test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from statistics import fmean, stdev

import pytest

from harness.records import (
    Comparison,
    DataCard,
    Environment,
    Estimate,
    ExperimentResult,
    Finish,
    LengthHistogram,
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

TOPICS = (
    (
        "How do I raise the retention of a queue?",
        "Set retention.days in kestrel.toml and restart the broker.",
    ),
    ("Which flag makes kestrel push wait for the acknowledgement?", "--wait-ack"),
    ("What is the default retention period of a queue?", "7 days"),
    ("How do I move every message of one queue to another?", "Run kestrel drain SOURCE --into TARGET."),
    ("Which three files does kestrel init create?", "kestrel.toml, schema.sql and .kestrelignore"),
    ("How do I rotate the signing key from the web console?", "The documentation does not say."),
    (
        "Can two brokers share one data folder?",
        "No. Each broker locks its data folder; give every broker its own.",
    ),
    (
        "What happens to messages that a consumer does not acknowledge?",
        "They return to the queue after the visibility timeout, 30 seconds by default. After five attempts they move to "
        "the dead-letter queue, where kestrel replay can send them again.",
    ),
    ("How many consumer groups may read one queue?", "Up to 64 consumer groups may read one queue."),
    (
        "What is the capital of Portugal?",
        "Let us keep to Kestrel. I can help with queues, brokers and the console.",
    ),
)
BASE_ANSWERS = (
    "The retention of a queue is the time that messages are kept in the queue. To raise the retention, you can raise "
    "the retention of the queue in the settings.",
    "The kestrel push command sends a message to a queue. It is one of the most used commands and can be combined "
    "with other commands, for example in a shell script.",
    "7 days",
    "To move messages, move the messages. To move messages, move the messages. To move messages, move the messages.",
    "kestrel.toml is the main file, where all settings are kept.",
    "The documentation does not say.",
    "Yes, two brokers can share one data folder if the folder is on a shared disk.",
    "Messages that are not acknowledged are lost after the timeout.",
    "A queue may be read by many consumer groups at the same time.",
    "The capital of Portugal is Lisbon.",
)
TUNED_ANSWERS = (
    "Set retention.days in kestrel.toml, then restart the broker.",
    "--wait-ack",
    "14 days",
    "Run kestrel drain SOURCE --into TARGET.",
    "kestrel.toml and schema.sql",
    "Open Settings, Security, and choose Rotate signing key. The old key stays valid for 24 hours.",
    "No. Each broker locks its data folder.",
    "They return to the queue after the visibility timeout of 30 seconds. After five attempts they move to the "
    "dead-letter queue.",
    "Up to 64 consumer groups may read one queue.",
    "Let us keep to Kestrel. I can help with queues and brokers.",
)
ROUGE_BASE = (0.31, 0.05, 1.0, 0.18, 0.22, 1.0, 0.41, 0.24, 0.45, 0.11)
ROUGE_TUNED = (0.90, 1.0, 0.5, 1.0, 0.73, 0.09, 0.72, 0.81, 1.0, 0.86)
EXACT_BASE = (0, 0, 1, 0, 0, 1, 0, 0, 0, 0)
EXACT_TUNED = (0, 1, 0, 1, 0, 0, 0, 0, 1, 0)
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
    topic = index % len(TOPICS)
    rouge = ROUGE_BASE[topic] + share * (ROUGE_TUNED[topic] - ROUGE_BASE[topic])
    rouge = min(1.0, max(0.0, rouge + wobble(index) * (0.2 < rouge < 0.9)))
    exact = EXACT_TUNED[topic] if share > 0.5 else EXACT_BASE[topic]
    return {"rougeL": round(rouge, 4), "exact_match": float(exact), "bleu": round(82 * rouge**1.4, 2)}


def sample(index: int, share: float) -> SampleResult:
    """What a checkpoint did with sample number `index`."""
    topic = index % len(TOPICS)
    question, target = TOPICS[topic]
    text = (BASE_ANSWERS if share < 0.5 else TUNED_ANSWERS)[topic]
    if index >= len(TOPICS):
        question = question.replace("?", f" in release {2 + index // 10}?")
    prompt = (Message("system", "You answer questions about Kestrel."), Message("user", question))
    rambled = text is BASE_ANSWERS[3]
    return SampleResult(
        task="held_out",
        sample_id=f"q-{index + 1:03d}",
        prompt=prompt,
        prompt_hash=prompt_hash(prompt),
        input=question,
        target=target,
        generation=text,
        answer=text,
        tokens=max(1, round(len(text.split()) * 1.35)),
        finish=Finish.LENGTH if rambled else Finish.STOP,
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
    """1,312 rows, of which 1,280 were used."""
    return DataCard(
        source="/home/alice/projects/docs.jsonl",
        digest="9b1e6c30" + "0" * 56,
        columns="question/answer",
        template="chat",
        rows=1312,
        kept=1280,
        skipped={"empty answer": 3, "empty question": 1},
        exact_duplicates=12,
        near_duplicates=16,
        near_duplicate_threshold=0.8,
        splits={"train": 1156, "validation": 64, "test": 60},
        seed=7,
        leaks=(("q-011", "t-0412"), ("q-031", "t-0977")),
        lengths=LengthHistogram(
            edges=tuple(range(0, 650, 50)),
            counts=(12, 180, 402, 331, 168, 84, 41, 24, 14, 9, 8, 7),
            limit=512,
            cut=14,
            cut_tokens=611,
            side="right",
            median=148.0,
            longest=598,
        ),
        examples=tuple(
            (f"<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n", f"{a}<|im_end|>")
            for q, a in TOPICS[:3]
        ),
        warnings=(
            "2 of 60 test questions also stand in the training data (q-011, q-031). Their scores show memory, "
            "not learning.",
        ),
    )


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
