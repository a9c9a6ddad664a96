"""Prompt templates: how a sample becomes what the model is asked, and what it should answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from harness.data.similarity import question_text
from harness.exceptions import InputError, UnknownName, nearest
from harness.records import Message, Prompt, Sample

_VARIABLES = ("input", "context", "history", "metadata")


@runtime_checkable
class PromptTemplate(Protocol):
    """Renders samples. Plain training text, which asks nothing, has the prompt "" in every built-in."""

    @property
    def name(self) -> str:
        """For the data card."""
        ...

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings that end an answer."""
        ...

    @property
    def signature(self) -> str:
        """All that changes a prompt."""
        ...

    def prompt(self, sample: Sample) -> Prompt:
        """Render what the model is asked."""
        ...

    def completion(self, sample: Sample) -> str:
        """Render the answer as training appends it to the prompt."""
        ...


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """Messages for the model's own chat template; a context follows the question after a blank line."""

    name: ClassVar[str] = "chat"
    stop: ClassVar[tuple[str, ...]] = ()
    signature: ClassVar[str] = "chat"

    def prompt(self, sample: Sample) -> Prompt:
        """Render history and one user turn."""
        if not question_text(sample):
            return ""
        return (*sample.history, Message("user", _question(sample)))

    def completion(self, sample: Sample) -> str:
        """Give the target as it stands; the chat template adds its end of turn."""
        return sample.target or ""


@dataclass(frozen=True, slots=True)
class AlpacaTemplate:
    """The wording of Stanford Alpaca (Taori et al. 2023, `train.py` of tatsu-lab/stanford_alpaca)."""

    name: ClassVar[str] = "alpaca"
    stop: ClassVar[tuple[str, ...]] = ("\n### ",)
    signature: ClassVar[str] = "alpaca"

    def prompt(self, sample: Sample) -> Prompt:
        """Use the form with `### Input:` where there is a context, else the one without."""
        if not question_text(sample):
            return ""
        paired = ", paired with an input that provides further context" if sample.context else ""
        given = f"### Input:\n{sample.context}\n\n" if sample.context else ""
        return (
            f"Below is an instruction that describes a task{paired}. "
            "Write a response that appropriately completes the request.\n\n"
            f"### Instruction:\n{_turns(sample)}{sample.input}\n\n{given}### Response:"
        )

    def completion(self, sample: Sample) -> str:
        """Give the target, directly after the colon as in the published code."""
        return sample.target or ""


@dataclass(frozen=True, slots=True)
class QuestionAnswerTemplate:
    """Headings `### Question:` and `### Answer:`."""

    name: ClassVar[str] = "question_answer"
    stop: ClassVar[tuple[str, ...]] = ("\n### ",)
    signature: ClassVar[str] = "question_answer"

    def prompt(self, sample: Sample) -> Prompt:
        """Render the question, its context after a blank line, and the heading of the answer."""
        if not question_text(sample):
            return ""
        return f"### Question:\n{_turns(sample)}{_question(sample)}\n\n### Answer:\n"

    def completion(self, sample: Sample) -> str:
        """Give the target as it stands."""
        return sample.target or ""


@dataclass(frozen=True, slots=True)
class PlainTemplate:
    """Question, new line, answer."""

    name: ClassVar[str] = "plain"
    stop: ClassVar[tuple[str, ...]] = ()
    signature: ClassVar[str] = "plain"

    def prompt(self, sample: Sample) -> Prompt:
        """Render the question, its context after a blank line, and a line end."""
        if not question_text(sample):
            return ""
        return f"{_turns(sample)}{_question(sample)}\n"

    def completion(self, sample: Sample) -> str:
        """Give the target as it stands."""
        return sample.target or ""


class BadTemplate(InputError):
    """A user's Jinja template cannot be used."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The prompt template cannot be used: {problem.rstrip('.')}.")


@dataclass(frozen=True, slots=True)
class JinjaTemplate:
    """A user's own template over `input`, `context`, `history` (turns with role, content) and `metadata`.

    It runs in Jinja's sandbox and may not change what it is given. Syntax errors and unknown variables raise
    BadTemplate here, a metadata column that a sample lacks when that sample is rendered.
    """

    source: str
    _compiled: Any = field(init=False, repr=False, compare=False)

    name: ClassVar[str] = "jinja"
    stop: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        from jinja2 import StrictUndefined, TemplateSyntaxError, meta
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined,
            keep_trailing_newline=True,
            autoescape=False,  # the result is a prompt, not a page
        )
        try:
            unknown = meta.find_undeclared_variables(environment.parse(self.source))
            compiled = environment.from_string(self.source)
        except TemplateSyntaxError as problem:
            raise BadTemplate(f"line {problem.lineno}: {problem.message}") from problem
        for name in sorted(unknown - set(_VARIABLES) - set(environment.globals)):
            near = nearest(name, _VARIABLES)
            hint = f", did you mean {near!r}" if near else ""
            raise BadTemplate(f"it uses {name!r}{hint}; allowed are {', '.join(_VARIABLES)}")
        object.__setattr__(self, "_compiled", compiled)

    @property
    def signature(self) -> str:
        """Digest of the template's text."""
        return f"jinja:{hashlib.sha256(self.source.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"

    def prompt(self, sample: Sample) -> Prompt:
        """Render the text; BadTemplate where this sample does not render."""
        from jinja2 import TemplateError

        values: Mapping[str, object] = {
            "input": sample.input,
            "context": sample.context,
            "history": [{"role": turn.role, "content": turn.content} for turn in sample.history],
            "metadata": dict(sample.metadata),
        }
        try:
            return str(self._compiled.render(values))
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as problem:
            raise BadTemplate(f"sample {sample.id!r} does not render: {problem}") from problem

    def completion(self, sample: Sample) -> str:
        """Give the target as it stands."""
        return sample.target or ""


TEMPLATES: tuple[PromptTemplate, ...] = (
    ChatTemplate(),
    AlpacaTemplate(),
    QuestionAnswerTemplate(),
    PlainTemplate(),
)
"""Built-in templates."""


def get_template(name_or_jinja: str) -> PromptTemplate:
    """Give a built-in by name, or the user's own where the text holds `{{` or `{%`."""
    if "{{" in name_or_jinja or "{%" in name_or_jinja:
        return JinjaTemplate(name_or_jinja)
    for template in TEMPLATES:
        if template.name == name_or_jinja:
            return template
    raise UnknownName("prompt template", name_or_jinja, [template.name for template in TEMPLATES])


def _question(sample: Sample) -> str:
    return f"{sample.input}\n\n{sample.context}" if sample.context else sample.input


def _turns(sample: Sample) -> str:
    """Earlier turns as text, for templates that have no messages."""
    return "".join(f"{turn.role}: {turn.content}\n\n" for turn in sample.history)
