from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from harness.categorizers import create_categorizers
from harness.categorizers.runner import categorize
from harness.exceptions import BadValue
from harness.records import Category, Finish, Generation, Sample


@dataclass(frozen=True)
class Wrong:
    """Raises, or names answers that are not the target."""

    problem: BaseException | None = None

    name: ClassVar[str] = "wrong"
    needs_target: ClassVar[bool] = True

    def categorize(self, generation: Generation, answer: str, sample: Sample) -> Category | None:  # noqa: ARG002
        if self.problem is not None:
            raise self.problem
        return None if answer == sample.target else Category("wrong", f"{answer!r}")


def stopped(text: str) -> Generation:
    return Generation(text, 1, Finish.STOP)


def test_every_categorizer_looks_at_every_sample() -> None:
    texts = ["", "no", "yes"]
    samples = [Sample(str(i), "q", "yes") for i in range(3)]
    found = categorize(
        [*create_categorizers("default"), Wrong()], [stopped(t) for t in texts], texts, samples
    )
    assert [[c.name for c in row] for row in found.categories] == [["empty", "wrong"], ["wrong"], []]
    assert found.failures == ()


def test_a_categorizer_that_raises_is_counted_and_the_rest_goes_on() -> None:
    categorizers = [Wrong(ValueError("odd" * 200)), *create_categorizers(["empty"])]
    found = categorize(categorizers, [stopped("")], [""], [Sample("a7", "q", "t")])
    assert [c.name for c in found.categories[0]] == ["empty"]
    ((sample_id, reason),) = found.failures
    assert sample_id == "a7"
    assert reason.startswith("wrong failed: ValueError: odd")
    assert len(reason) == 200


def test_an_interrupt_is_not_caught() -> None:
    with pytest.raises(KeyboardInterrupt):
        categorize([Wrong(KeyboardInterrupt())], [stopped("x")], ["x"], [Sample("1", "q", "t")])


def test_without_a_target_a_categorizer_that_needs_one_passes() -> None:
    found = categorize([Wrong(ValueError())], [stopped("x")], ["x"], [Sample("1", "q")])
    assert (found.categories, found.failures) == (((),), ())


def test_a_failed_generation_has_no_categories() -> None:
    failed = Generation("", 0, Finish.FAILED, "out of memory")
    found = categorize([*create_categorizers("default"), Wrong()], [failed], [""], [Sample("1", "q", "t")])
    assert found.categories == ((),)


def test_lengths_must_agree() -> None:
    with pytest.raises(BadValue, match="number of generations is 0"):
        categorize([], [], [""], [Sample("1", "q")])
    with pytest.raises(BadValue, match="number of answers is 2"):
        categorize([], [stopped("")], ["", ""], [Sample("1", "q")])
