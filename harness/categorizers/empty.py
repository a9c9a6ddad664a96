"""Empty: the model wrote nothing that can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from harness.records import Category, Generation, Sample


@dataclass(frozen=True)
class Empty:
    """The raw text holds nothing but whitespace."""

    name: ClassVar[str] = "empty"
    needs_target: ClassVar[bool] = False

    def categorize(self, generation: Generation, answer: str, sample: Sample) -> Category | None:  # noqa: ARG002
        """Look at the raw text: an answer that extraction emptied is another mistake."""
        text = generation.text
        if text.strip():
            return None
        evidence = f"{len(text)} characters, all whitespace" if text else "no character at all"
        return Category(self.name, f"{evidence}; finish: {generation.finish.value}")
