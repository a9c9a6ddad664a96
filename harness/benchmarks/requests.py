"""Which samples are asked, and their prompts: lm-eval's own, whatever subset is asked.

lm-eval draws the few-shot examples of a task from one random generator, sample by sample, so that its prompts
depend on which samples come before. Here the generator is moved on for every sample that is left out: a
sample's prompt is always that of lm-eval's full run. Importing this imports lm_eval.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval.api.task import ConfigurableTask

from harness.benchmarks.attempt import attempt
from harness.benchmarks.settings import BenchSettings
from harness.benchmarks.tasks import Leaf


@dataclass(frozen=True, slots=True)
class Planned:
    """One sample, ready to be asked.

    doc_id: its place in the task's data; instances: lm-eval's requests, empty with a failure; question: its
    own part of the prompt; leaked: whether the few-shot examples hold that very question.
    """

    doc_id: int
    doc: Any
    instances: tuple[Any, ...]
    question: str = ""
    failure: str | None = None
    leaked: bool = False


ChatTemplate = Callable[..., str]


def chosen_ids(leaf: Leaf, total: int, sample_seed: int | None) -> list[int]:
    """Places of the samples to ask, in order: the first ones, or a random subset that grows with the limit."""
    limit = leaf.limit
    if limit is None:
        return list(range(total))
    size = min(total, math.ceil(total * limit) if limit < 1 else int(limit))
    if sample_seed is None:
        return list(range(size))
    order = list(range(total))
    random.Random(f"{sample_seed}:{leaf.name}").shuffle(order)  # noqa: S311 - a subset, no secret
    return sorted(order[:size])


def plan(leaf: Leaf, settings: BenchSettings, chat_template: ChatTemplate | None) -> list[Planned]:
    """Build the requests of every chosen sample; one that breaks its template is there with a failure."""
    task = leaf.task
    docs = task.eval_docs
    wanted = chosen_ids(leaf, len(docs), settings.sample_seed)
    builder = _Builder(task, settings, chat_template)
    planned: dict[int, Planned] = {}
    asked = set(wanted)
    for doc_id in range(max(wanted, default=-1) + 1):
        if doc_id not in asked or doc_id in leaf.problems:
            builder.skip(docs, doc_id)
        if doc_id not in asked:
            continue
        if doc_id in leaf.problems:
            planned[doc_id] = Planned(doc_id, None, (), failure=leaf.problems[doc_id])
        else:
            planned[doc_id] = builder.build(doc_id, docs[doc_id])
    return [planned[doc_id] for doc_id in wanted]


class _Builder:
    def __init__(self, task: Any, settings: BenchSettings, chat_template: ChatTemplate | None) -> None:
        self.task = task
        self.settings = settings
        self.chat_template = chat_template
        self.shots = int(task.get_config("num_fewshot") or 0)
        own = isinstance(task, ConfigurableTask) and (
            type(task).fewshot_context is ConfigurableTask.fewshot_context
        )
        self.sampler = task.sampler if own and self.shots and hasattr(task, "sampler") else None

    def skip(self, docs: Any, doc_id: int) -> None:
        """Draw the few-shot examples of a sample that is not asked."""
        if self.shots:
            if self.sampler is None:
                attempt(lambda: self._context(docs[doc_id]))
            else:
                attempt(lambda: self._draw(docs[doc_id]))

    def build(self, doc_id: int, doc: Any) -> Planned:
        state = self.sampler.rnd.getstate() if self.sampler else None
        instances, failure = attempt(lambda: self._instances(doc_id, doc))
        if failure is not None:
            if self.sampler:
                self.sampler.rnd.setstate(state)
                attempt(lambda: self._draw(doc))
            return Planned(doc_id, doc, (), failure=f"its prompt cannot be made ({failure})")
        problem, broken = attempt(lambda: self._problem(doc, instances))
        if broken or problem:
            reason = problem or f"its answer cannot be read ({broken})"
            return Planned(doc_id, doc, (), failure=reason)
        text, _ = attempt(lambda: self.task.doc_to_text(doc))
        question = text if isinstance(text, str) else ""
        return Planned(doc_id, doc, tuple(instances), question, None, self._leaks(question, instances))

    def _draw(self, doc: Any) -> None:
        same = self.task.fewshot_cfg.split == self.task.config.test_split
        assert self.sampler is not None
        self.sampler.sample(n=self.shots, eval_doc=doc if same else None)

    def _context(self, doc: Any) -> Any:
        return self.task.fewshot_context(
            doc,
            num_fewshot=self.shots,
            system_instruction=self.settings.system_instruction,
            apply_chat_template=self.settings.apply_chat_template,
            fewshot_as_multiturn=self.settings.fewshot_as_multiturn,
            chat_template=self.chat_template,
            gen_prefix=self.task.doc_to_prefix(doc),
        )

    def _instances(self, doc_id: int, doc: Any) -> list[Any]:
        made = self.task.construct_requests(
            doc=doc,
            ctx=self._context(doc),
            metadata=(self.task.config["task"], doc_id, self.task.config.repeats),
            apply_chat_template=self.settings.apply_chat_template,
            chat_template=self.chat_template,
        )
        return made if isinstance(made, list) else [made]

    def _problem(self, doc: Any, instances: Sequence[Any]) -> str | None:
        """What makes a sample meaningless that lm-eval would score all the same."""
        for instance in instances:
            for text in instance.args:
                if isinstance(text, str):
                    text.encode()  # half a character (a lone surrogate) has no tokens
        if self.task.OUTPUT_TYPE != "multiple_choice":
            return None
        choices = self.task.doc_to_choice(doc)
        empty = [place for place, choice in enumerate(choices) if not str(choice).strip()]
        if empty:
            return f"choice {empty[0]} is empty"
        if callable(self.task.config.process_results):
            return None
        gold = self.task.doc_to_text(doc) if self.task.multiple_input else self.task.doc_to_target(doc)
        for each in gold if isinstance(gold, list) else [gold]:
            if isinstance(each, int) and not 0 <= each < len(choices):
                return f"its right answer is number {each}, but there are {len(choices)} choices (from 0)"
            if isinstance(each, str) and each not in choices:
                return f"its right answer {each!r} is none of its choices"
        return None

    def _leaks(self, question: str, instances: Sequence[Any]) -> bool:
        own, context = question.strip(), instances[0].args[0]
        return bool(self.shots and own and isinstance(context, str) and context.count(own) > 1)
