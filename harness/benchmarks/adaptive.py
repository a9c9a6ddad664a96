"""Adaptive precision: score in bfloat16, then again in float32 where rounding could change a decision.

Imports lm_eval.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.benchmarks.attempt import attempt
from harness.benchmarks.decisions import (
    FIRST,
    Errors,
    Question,
    Scores,
    below_the_bound,
    broken,
    first_questions,
    margins,
    uncertain_shares,
    unsure_first,
)
from harness.benchmarks.lm import HarnessLM
from harness.exceptions import InputError
from harness.models.base import Model
from harness.models.digest import digest
from harness.models.hf import HfModel
from harness.progress import Progress, silent
from harness.records import LogLikelihood
from harness.store.base import Storage

LOW, HIGH = "bfloat16", "float32"
_DECISIONS = {"acc", "acc_norm", "acc_bytes", "f1", "mcc"}
"""lm-eval's measures that look only at which choice wins."""
_SHARES = "process_results_mc2"


@dataclass(frozen=True, slots=True)
class Rescored:
    """What was done for one task. wrong: decisions expected to be wrong; share: standard error of the mean share."""

    samples: int
    rescored_samples: int
    choices: int
    rescored_choices: int
    wrong: float | None = None
    share: float | None = None

    def __str__(self) -> str:
        text = (
            f"{self.rescored_samples:,} of {self.samples:,} samples scored again in {HIGH} "
            f"({self.rescored_choices:,} of {self.choices:,} choices)"
        )
        if self.wrong is not None:
            return f"{text}, at most {self.wrong:.2g} wrong decisions expected among the rest"
        if self.share is not None:
            return f"{text}, standard error of the mean from rounding {self.share:.2g}"
        return f"{text}, since its measures need every number exact"


class AdaptiveLM(HarnessLM):
    """A model in two precisions: bfloat16 where that decides, float32 for all else.

    What is neither a multiple-choice decision nor a share of probability is scored in float32 altogether, and
    generated in float32. Errors are learnt for each data set of the run, so that its later tasks need no sample.
    """

    def __init__(
        self, low: Model, high: Model, store: Storage | None = None, progress: Progress = silent
    ) -> None:
        super().__init__(high, store, progress)
        self.low = HarnessLM(low, store, progress)
        self.notes: dict[str, Rescored] = {}
        """What was done, by task."""
        self._errors: dict[str, Errors] = {}

    @property
    def fingerprint(self) -> str:
        """Of both models and the rule."""
        return digest(["adaptive", self.low.model.fingerprint, self.model.fingerprint])

    @property
    def dtype(self) -> str:
        """Both number formats."""
        return f"{LOW}, {HIGH} where it decides"

    @property
    def cautions(self) -> Mapping[str, str]:
        """What a reader of each task's numbers must know."""
        return {name: str(note) for name, note in self.notes.items()}

    def task_scores(self, task: Any, requests: Sequence[Any]) -> list[LogLikelihood]:
        """Log-likelihoods of one task's requests, as exact as its measures need them."""
        name = str(task.config.task)
        questions = questions_of(task, requests)
        if questions is None:
            docs = {request.doc_id for request in requests}
            self.notes[name] = Rescored(len(docs), len(docs), len(requests), len(requests))
            return self.scores(requests)
        self.low.progress = self.progress
        before = self.low.model_seconds, self.low.computed
        low = self.low.scores(requests)
        self.model_seconds += self.low.model_seconds - before[0]
        self.computed += self.low.computed - before[1]
        run = _Rescoring(self, requests, low, questions)
        errors = self._errors.setdefault(str(task.config.dataset_path or name), Errors())
        self.notes[name] = run.shares(errors) if questions[0].labels is not None else run.decisions(errors)
        return run.replies


class _Rescoring:
    def __init__(
        self,
        lm: AdaptiveLM,
        requests: Sequence[Any],
        low: Sequence[LogLikelihood],
        questions: Sequence[Question],
    ) -> None:
        self.lm = lm
        self.requests = requests
        self.low = low
        self.replies = list(low)
        self.questions = questions
        self.scores = Scores([reply.value for reply in low], [max(1, reply.tokens) for reply in low])

    def decisions(self, errors: Errors) -> Rescored:
        """Rescore until few wrong decisions are to be expected among what was not."""
        self._exact(broken(self.questions, self.scores), errors)
        self._learn(first_questions(margins(self.questions, self.scores)), errors)
        while True:
            places, wrong = below_the_bound(margins(self.questions, self.scores), errors, len(self.questions))
            if not places:
                return self._done(wrong=wrong)
            self._exact(places, errors)

    def shares(self, errors: Errors) -> Rescored:
        """Rescore until the mean share of probability is sure enough."""
        self._exact(broken(self.questions, self.scores), errors)
        self._learn(unsure_first(self.questions, self.scores), errors)
        places, share = uncertain_shares(self.questions, self.scores, errors.spread)
        self._exact(places, errors)
        return self._done(share=share)

    def _learn(self, order: Sequence[int], errors: Errors) -> None:
        """Score the first questions both ways, as many as are missing before a bound is trusted."""
        first = order[: max(0, FIRST - errors.questions)]
        self._exact([place for number in first for place in self.questions[number].places], errors)

    def _exact(self, places: Collection[int], errors: Errors) -> None:
        wanted = sorted(set(places) - self.scores.exact)
        if not wanted:
            return
        progress, self.lm.progress = self.lm.progress, silent
        try:
            found = self.lm.scores([self.requests[place] for place in wanted])
        finally:
            self.lm.progress = progress
        new = set(wanted)
        for place, reply in zip(wanted, found, strict=True):
            self.replies[place] = reply
        for question in self.questions:
            both = [place for place in question.places if place in new]
            errors.add(
                [self.low[place].value for place in both],
                [self.replies[place].value for place in both],
                [self.scores.tokens[place] for place in both],
            )
        self.scores.take({place: self.replies[place].value for place in wanted})

    def _done(self, wrong: float | None = None, share: float | None = None) -> Rescored:
        exact = self.scores.exact
        touched = sum(any(place in exact for place in question.places) for question in self.questions)
        return Rescored(len(self.questions), touched, len(self.requests), len(exact), wrong, share)


def questions_of(task: Any, requests: Sequence[Any]) -> list[Question] | None:
    """The questions behind a task's requests; None where its measures need every number exact.

    Decisions look at lm-eval's own divisors: 1, the characters and the bytes of each choice.
    """
    own = getattr(task.config, "process_results", None)
    shares = getattr(own, "__name__", "") == _SHARES
    if task.OUTPUT_TYPE != "multiple_choice" or (callable(own) and not shares):
        return None
    if not shares and not set(task.aggregation()) <= _DECISIONS:
        return None
    places: dict[int, list[int]] = {}
    for place, request in enumerate(requests):
        places.setdefault(request.doc_id, []).append(place)
    found = []
    for where in places.values():
        question = _question(task, requests[where[0]].doc, tuple(where), shares=shares)
        if question is None:
            return None
        found.append(question)
    return found or None


def _question(task: Any, doc: Any, places: tuple[int, ...], *, shares: bool) -> Question | None:
    if shares:
        labels, failure = attempt(lambda: tuple(int(label) for label in doc["mc2_targets"]["labels"]))
        fits = failure is None and len(labels) == len(places)
        return Question(places, labels=labels) if fits else None
    choices, failure = attempt(lambda: [str(choice) for choice in task.doc_to_choice(doc)])
    if failure is not None or len(choices) != len(places) or not all(choices):
        return None
    measures = set(task.aggregation())
    lengths: list[tuple[float, ...]] = []
    if measures & {"acc", "f1", "mcc"}:
        lengths.append((1.0,) * len(choices))
    if "acc_norm" in measures:
        lengths.append(tuple(float(len(choice)) for choice in choices))
    if "acc_bytes" in measures:
        lengths.append(tuple(float(len(choice.encode())) for choice in choices))
    return Question(places, tuple(lengths))


def both(model: Model) -> tuple[HfModel, HfModel]:
    """The same checkpoint in both precisions. InputError for what is no transformers model, or lives in one of them."""
    if not isinstance(model, HfModel):
        raise InputError(f"Adaptive precision needs the weights; {model.name!r} is no transformers model.")
    low, high = (replace(model, settings=replace(model.settings, dtype=dtype)) for dtype in (LOW, HIGH))
    if (low.dtype, high.dtype) != (LOW, HIGH):
        raise InputError(
            f"Adaptive precision needs a checkpoint on disk; {model.name!r} is in {low.dtype} alone."
        )
    return low, high


def language_model(model: Model, store: Storage, precision: str | None) -> HarnessLM:
    """The model for lm-eval's tasks, in its own precision or in both."""
    return HarnessLM(model, store) if precision is None else AdaptiveLM(*both(model), store)
