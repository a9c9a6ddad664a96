"""The home-made benchmark rows: columns as on the hub, golds spread, nothing twice, nothing from the real files."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.resources import resource

SUBJECTS = ("anatomy", "computer_security", "elementary_mathematics", "high_school_world_history")
COUNTS = {
    "arc_easy/train": 10,
    "arc_easy/test": 40,
    "arc_challenge/train": 30,
    "arc_challenge/test": 40,
    "hellaswag/train": 12,
    "hellaswag/validation": 40,
    **{f"mmlu/{subject}/dev": 5 for subject in SUBJECTS},
    **{f"mmlu/{subject}/test": 15 for subject in SUBJECTS},
    "truthfulqa/mc": 40,
}
ARC = [name for name in COUNTS if name.startswith("arc_")]
HELLASWAG = [name for name in COUNTS if name.startswith("hellaswag")]
MMLU = [name for name in COUNTS if name.startswith("mmlu")]

Row = dict[str, Any]


def rows(name: str) -> list[Row]:
    lines = resource("tasks", "benchmarks", f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def plain(text: str) -> str:
    """The words alone, so that case, punctuation and spaces hide no repetition."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def question(row: Row) -> str:
    return plain(row["ctx"] if "ctx" in row else row["question"])


def four_choices(row: Row) -> tuple[list[str], int]:
    if "answerKey" in row:
        return row["choices"]["text"], row["choices"]["label"].index(row["answerKey"])
    if "endings" in row:
        return row["endings"], int(row["label"])
    return row["choices"], row["answer"]


def test_these_files_ship_and_no_others() -> None:
    root = resource("tasks", "benchmarks")
    assert {path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.jsonl")} == set(
        COUNTS
    )


@pytest.mark.parametrize("name", COUNTS)
def test_each_file_has_its_rows(name: str) -> None:
    assert len(rows(name)) == COUNTS[name]


@pytest.mark.parametrize("name", ARC)
def test_arc_has_the_hub_s_columns(name: str) -> None:
    for index, row in enumerate(rows(name)):
        assert set(row) == {"id", "question", "choices", "answerKey"}
        assert row["id"] == f"{name}/{index}"
        assert row["choices"]["label"] == ["A", "B", "C", "D"]
        assert set(row["choices"]) == {"text", "label"}
        assert row["answerKey"] in row["choices"]["label"]


@pytest.mark.parametrize("name", HELLASWAG)
def test_hellaswag_has_the_hub_s_columns(name: str) -> None:
    columns = {"ind", "activity_label", "ctx_a", "ctx_b", "ctx", "endings", "split", "label"}
    for row in rows(name):
        assert set(row) == columns
        assert type(row["ind"]) is int
        assert row["ctx"] == f"{row['ctx_a']} {row['ctx_b']}".strip()
        assert row["label"] in {"0", "1", "2", "3"}  # a string, as on the hub
        assert row["split"] == ("train" if name.endswith("train") else "val")
        assert row["activity_label"]


def test_hellaswag_numbers_no_two_rows_alike() -> None:
    numbers = [row["ind"] for name in HELLASWAG for row in rows(name)]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("name", MMLU)
def test_mmlu_has_the_hub_s_columns(name: str) -> None:
    for row in rows(name):
        assert set(row) == {"question", "subject", "choices", "answer"}
        assert row["subject"] == name.split("/")[1]
        assert type(row["answer"]) is int
        assert 0 <= row["answer"] < 4


def test_truthfulqa_has_the_hub_s_columns_and_the_true_answers_first() -> None:
    for row in rows("truthfulqa/mc"):
        assert set(row) == {"question", "mc1_targets", "mc2_targets"}
        one, many = row["mc1_targets"], row["mc2_targets"]
        true, false = sum(many["labels"]), len(many["labels"]) - sum(many["labels"])
        assert one["labels"] == [1] + [0] * false
        assert many["labels"] == [1] * true + [0] * false  # lm-eval cuts the list at the first 0
        assert true >= 2
        assert false >= 2
        assert one["choices"] == many["choices"][:1] + many["choices"][true:]
        assert len({plain(choice) for choice in many["choices"]}) == len(many["labels"])


@pytest.mark.parametrize("name", [*ARC, *HELLASWAG, *MMLU])
def test_four_different_choices_and_golds_spread_evenly(name: str) -> None:
    golds: Counter[int] = Counter()
    for row in rows(name):
        choices, gold = four_choices(row)
        assert len(choices) == len({choice.casefold() for choice in choices}) == 4
        assert all(choice.strip() == choice != "" for choice in choices)
        golds[gold] += 1
    assert set(golds) == {0, 1, 2, 3}
    assert max(golds.values()) - min(golds.values()) <= 1


@pytest.mark.parametrize("name", [*ARC, *HELLASWAG, *MMLU])
def test_length_does_not_give_the_gold_away(name: str) -> None:
    longest = 0
    for row in rows(name):
        choices, gold = four_choices(row)
        longest += all(len(choices[gold]) > len(c) for i, c in enumerate(choices) if i != gold)
    assert longest <= 0.5 * COUNTS[name]


def test_no_question_stands_twice_in_any_of_the_files() -> None:
    seen = Counter(question(row) for name in COUNTS for row in rows(name))
    assert [text for text, times in seen.items() if times > 1] == []


def test_no_question_is_one_of_a_real_benchmark(data_dir: Path) -> None:
    ours = {question(row) for name in COUNTS for row in rows(name)}
    real = {question(row) for row in _real(data_dir / "benchmarks")}
    assert len(real) > 10_000
    assert ours & real == set()


def _real(folder: Path) -> Iterator[Row]:
    for path in sorted(folder.rglob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines)
