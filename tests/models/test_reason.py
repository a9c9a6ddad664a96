from __future__ import annotations

import pytest

from harness.models.reason import first_line


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (ValueError("\nbad shape.\nlong story"), "bad shape"),
        (ValueError("these are missing:\n\ta"), "these are missing"),
        (MemoryError(), "MemoryError"),
        (KeyError("scores"), "'scores' is missing"),
    ],
)
def test_the_first_line_or_the_name(problem: Exception, line: str) -> None:
    assert first_line(problem) == line
