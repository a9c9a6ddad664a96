"""The whole contract of a categorizer: it names the kind of mistake in one answer, with evidence."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from harness.records import Category, Generation, Sample


@runtime_checkable
class Categorizer(Protocol):
    """A frozen dataclass whose fields are its thresholds."""

    name: ClassVar[str]
    needs_target: ClassVar[bool]

    def categorize(self, generation: Generation, answer: str, sample: Sample) -> Category | None:
        """The category with its evidence, or None where the answer does not show this mistake."""
        ...
