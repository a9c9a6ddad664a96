from __future__ import annotations

import pytest

from harness.exceptions import InputError
from harness.metrics.exact_match import ExactMatch
from harness.records import Sample


def value(metric: ExactMatch, answer: str, target: str) -> float | None:
    return metric.score(answer, Sample("1", "q", target))["exact_match"].value


@pytest.mark.parametrize(
    ("settings", "answer", "target", "expected"),
    [
        ({}, "Paris", "Paris", 1.0),
        ({}, " Paris \n", "Paris", 1.0),
        ({}, "New  York", "New York", 1.0),
        ({}, "NewYork", "New York", 0.0),
        ({}, "paris", "Paris", 0.0),
        ({}, "Paris.", "Paris", 0.0),
        ({}, "the Louvre", "Louvre", 0.0),
        ({}, "", "", 1.0),
        ({}, "", "Paris", 0.0),
        ({}, "\u4e2d\u6587", "\u4e2d\u6587", 1.0),
        # composed and decomposed e-acute are different code points
        ({}, "\u00e9", "e\u0301", 0.0),
        ({"ignore_whitespace": False}, "Paris ", "Paris", 0.0),
        ({"ignore_case": True}, "PARIS", "Paris", 1.0),
        ({"ignore_punctuation": True}, "U.S.", "US", 1.0),
        ({"ignore_articles": True}, "the Louvre", "Louvre", 1.0),
        ({"ignore_articles": True}, "theLouvre", "Louvre", 0.0),
        (
            {"ignore_case": True, "ignore_punctuation": True, "ignore_articles": True},
            "The Denver Broncos!",
            "denver broncos",
            1.0,
        ),
    ],
)
def test_by_hand(settings: dict[str, bool], answer: str, target: str, expected: float) -> None:
    assert value(ExactMatch(**settings), answer, target) == expected


def test_a_contradiction_is_refused() -> None:
    with pytest.raises(InputError, match="ignore_articles without ignore_whitespace"):
        ExactMatch(ignore_articles=True, ignore_whitespace=False)


def test_every_setting_enters_the_signature() -> None:
    variants = [
        ExactMatch(),
        ExactMatch(ignore_case=True),
        ExactMatch(ignore_punctuation=True),
        ExactMatch(ignore_articles=True),
        ExactMatch(ignore_whitespace=False),
    ]
    assert len({metric.signature for metric in variants}) == len(variants)
    assert ExactMatch(ignore_whitespace=False).signature == "exact_match|ignore:nothing"


def test_the_measure_is_binary() -> None:
    (measure,) = ExactMatch().measures
    assert measure.binary
    assert (measure.name, measure.low, measure.high) == ("exact_match", 0.0, 1.0)
