"""A conversation as the text that a tokenizer's own chat template makes of it, or as plain turns without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.exceptions import InputError
from harness.records import Message


def chat_text(tokenizer: Any, messages: Sequence[Message], *, ask: bool = True) -> tuple[str, bool]:
    """Return (text, whether the tokenizer must add its special tokens: a chat template writes them itself).

    `ask` opens the assistant's turn. Raises InputError where the template refuses the turns.
    """
    if tokenizer.chat_template is None:
        turns = [f"### {message.role.capitalize()}:\n{message.content}" for message in messages]
        return "\n\n".join([*turns, "### Assistant:\n"] if ask else turns), True
    from jinja2 import TemplateError

    given = [{"role": message.role, "content": message.content} for message in messages]
    try:
        text = tokenizer.apply_chat_template(given, tokenize=False, add_generation_prompt=ask)
    except TemplateError as problem:
        raise InputError(f"The model's chat template refuses this prompt: {problem}") from problem
    return str(text), False
