"""lm-eval tries a task out on its first sample and gives the whole task up where that one is broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lm_eval.api.task import ConfigurableTask

from harness.benchmarks.attempt import attempt

_TRIED = 50


@contextmanager
def tried_on_a_usable_sample() -> Iterator[None]:
    """While tasks are made, let lm-eval see the samples from the first usable one on; afterwards all of them."""
    own = ConfigurableTask.__dict__.get("eval_docs")

    def from_usable(task: Any) -> Any:
        docs = super(ConfigurableTask, task).eval_docs
        task.features = list(docs.features)  # what templates are read with; set right after this by lm-eval
        tried = range(min(_TRIED, len(docs)))
        start = next((place for place in tried if _is_usable(task, docs[place])), 0)
        return docs.select(range(start, len(docs))) if start else docs

    ConfigurableTask.eval_docs = property(from_usable)
    try:
        yield
    finally:
        if own is None:
            del ConfigurableTask.eval_docs
        else:
            ConfigurableTask.eval_docs = own


def _is_usable(task: Any, doc: Any) -> bool:
    def read() -> None:
        task.doc_to_text(doc)
        target = task.doc_to_target(doc)
        choices = task.doc_to_choice(doc) if task.config.doc_to_choice is not None else []
        for choice in choices:
            choice[0]  # an empty choice
        if choices and isinstance(target, int):
            choices[target]

    _, problem = attempt(read)
    return problem is None
