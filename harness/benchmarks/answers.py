"""Asks the model a task's requests and turns what comes back into lm-eval's per-sample values and our records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.benchmarks.attempt import attempt
from harness.benchmarks.lm import HarnessLM
from harness.benchmarks.measures import Key
from harness.benchmarks.requests import Planned
from harness.records import Finish, Generation, LogLikelihood, SampleResult, prompt_hash
from harness.records.samples import prompt_json

_MC2 = "truthfulqa_mc2"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One sample after the model: lm-eval's values by metric and filter, or why there are none."""

    sample: Planned
    values: Mapping[Key, Any]
    failure: str | None
    loglikelihoods: tuple[float, ...] = ()
    generation: Generation | None = None
    nonfinite: bool = False

    @property
    def row(self) -> Mapping[Key, Any] | str:
        """What `score_task` reads."""
        return self.values if self.failure is None else self.failure


def ask(lm: HarnessLM, task: Any, planned: Sequence[Planned]) -> list[Outcome]:
    """Ask every request of the samples without failure, once for each of its repeats, and score them."""
    requests = [request for sample in planned for request in sample.instances for _ in range(request.repeats)]
    replies: dict[int, list[Any]] = {id(request): [] for request in requests}
    for kind in dict.fromkeys(request.request_type for request in requests):
        wanted = [request for request in requests if request.request_type == kind]
        for request, reply in zip(wanted, _replies(lm, task, kind, wanted), strict=True):
            request.resps.append(_plain(reply))
            replies[id(request)].append(reply)
    return [_outcome(task, sample, [replies[id(r)] for r in sample.instances]) for sample in planned]


def _replies(lm: HarnessLM, task: Any, kind: str, requests: Sequence[Any]) -> Sequence[Any]:
    if kind == "loglikelihood":
        return lm.task_scores(task, requests)
    if kind == "loglikelihood_rolling":
        return lm.loglikelihood_rolling(requests)
    return lm.generations(requests)


def _plain(reply: Any) -> Any:
    """A reply in the form in which lm-eval's own models give it."""
    if isinstance(reply, LogLikelihood):
        return reply.value, reply.greedy
    return reply.text if isinstance(reply, Generation) else reply


def _outcome(task: Any, sample: Planned, replies: Sequence[Sequence[Any]]) -> Outcome:
    if sample.failure is not None:
        return Outcome(sample, {}, sample.failure)
    flat = [reply for each in replies for reply in each]
    generation = next((reply for reply in flat if isinstance(reply, Generation)), None)
    unasked = [
        reply.failure for reply in flat if isinstance(reply, LogLikelihood) and reply.failure is not None
    ]
    numbers = tuple(_number(reply) for reply in flat if _is_number(reply))
    broken = not all(map(math.isfinite, numbers))
    kept = Outcome(sample, {}, None, () if unasked else numbers, generation, nonfinite=broken)
    if broken:
        return replace(kept, failure="the model returned a log-likelihood that is not finite")
    if unasked:
        return replace(kept, failure=unasked[0])
    failed = [reply for reply in flat if isinstance(reply, Generation) and reply.failure is not None]
    if failed:
        nonfinite = any(reply.finish is Finish.NONFINITE for reply in failed)
        return replace(kept, failure=failed[0].failure, nonfinite=nonfinite)
    values, problem = attempt(lambda: _values(task, sample))
    if problem is not None:
        return replace(kept, failure=f"it cannot be scored ({problem})")
    return replace(kept, values=values)


def _is_number(reply: Any) -> bool:
    """Whether a reply is a log-likelihood that the model gave."""
    return not isinstance(reply, Generation) and getattr(reply, "failure", None) is None


def _number(reply: Any) -> float:
    return reply.value if isinstance(reply, LogLikelihood) else float(reply)


def _values(task: Any, sample: Planned) -> dict[Key, Any]:
    """lm-eval's filters and scoring, for one sample alone, so that its failure stays its own."""
    task._instances = list(sample.instances)  # noqa: SLF001 - what `build_all_requests` sets
    task.apply_filters()
    ordered = sorted(sample.instances, key=lambda request: request.idx)
    found: dict[Key, Any] = {}
    for kind in ordered[0].filtered_resps:
        replies = [request.filtered_resps[kind] for request in ordered]
        with np.errstate(all="ignore"):
            metrics = task.process_results(sample.doc, replies)
            if task.config.task == _MC2 and not math.isfinite(float(metrics["acc"])):
                metrics = task.process_results(sample.doc, _shifted(replies))
        found.update({(metric, kind): value for metric, value in metrics.items()})
    return found


def _shifted(replies: Sequence[tuple[float, bool]]) -> list[tuple[float, bool]]:
    """The same share of probability, without every probability being 0 in double precision."""
    highest = max(value for value, _ in replies)
    return [(value - highest, greedy) for value, greedy in replies]


def record(
    name: str, task: Any, outcome: Outcome, scores: Mapping[str, Any], metadata: Mapping[str, str], cut: int
) -> SampleResult:
    """The line of samples.jsonl."""
    sample, generation = outcome.sample, outcome.generation
    asked = str(sample.instances[0].args[0]) if sample.instances else ""
    finish = generation.finish if generation else Finish.STOP
    if outcome.nonfinite:
        finish = Finish.NONFINITE
    elif outcome.failure is not None:
        finish = Finish.FAILED
    target, _ = attempt(lambda: target_of(task, sample.doc)) if sample.instances else (None, None)
    return SampleResult(
        task=name,
        sample_id=str(sample.doc_id),
        prompt=asked,
        # a sample without a prompt meets the same sample of another run, not any other that failed
        prompt_hash=prompt_hash(asked if sample.instances else f"{name} {sample.doc_id} without a prompt"),
        input=sample.question,
        target=target,
        generation=generation.text if generation else "",
        answer=_answer(task, outcome),
        tokens=generation.tokens if generation else 0,
        finish=finish,
        failure=outcome.failure,
        scores=scores,
        metadata=metadata,
        cut=generation.cut if generation else cut,
        loglikelihoods=outcome.loglikelihoods,
    )


def target_of(task: Any, doc: Any) -> str | None:
    """The gold answer as text: the right choice of a multiple-choice task."""
    gold = task.doc_to_target(doc)
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        return None
    if task.OUTPUT_TYPE == "multiple_choice":
        choices = task.doc_to_choice(doc)
        if task.multiple_input:
            gold = task.doc_to_text(doc)
        places = [each for each in (gold if isinstance(gold, list) else [gold]) if isinstance(each, int)]
        if places:
            return " | ".join(str(choices[place]) for place in places)
    return " | ".join(map(str, gold)) if isinstance(gold, list) else str(gold)


def _answer(task: Any, outcome: Outcome) -> str:
    """The likeliest choice, or the generation as the task's first filter leaves it."""
    if outcome.failure is not None:
        return ""
    if task.OUTPUT_TYPE == "multiple_choice":
        choices, _ = attempt(lambda: task.doc_to_choice(outcome.sample.doc))
        values = outcome.loglikelihoods[: len(choices or ())]
        return str(choices[int(np.argmax(values))]) if values else ""
    if outcome.generation is None:
        return ""
    first = next(iter(outcome.sample.instances[0].filtered_resps.values()), outcome.generation.text)
    return first if isinstance(first, str) else outcome.generation.text


def request_count(planned: Sequence[Planned]) -> int:
    """Distinct requests of a task: what the model is asked at most."""
    seen = set()
    for sample in planned:
        for request in sample.instances:
            rest = request.args[1:]
            seen.add((request.request_type, prompt_json(str(request.args[0])), repr(rest)))
    return len(seen)
