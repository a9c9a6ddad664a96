"""What a usable row of each benchmark file is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.conftest import arc_row, hellaswag_row, mmlu_row, truthfulqa_row, write

from harness.benchmarks.local_data import layout_of, read_local
from harness.exceptions import FileProblem

TASKS = {
    "arc_easy": arc_row,
    "hellaswag": hellaswag_row,
    "mmlu_anatomy": mmlu_row,
    "truthfulqa_mc1": truthfulqa_row,
}


def problem(folder: Path, task: str, row: Any) -> str:
    """Why a row cannot be used that stands first in the scored file."""
    layout = layout_of(task)
    assert layout is not None
    write(folder / layout.folder / layout.scored, [row, TASKS[task](1)])
    splits, scored = read_local(task, folder)
    problems = next(split.problems for split in splits.values() if split.problems)
    assert list(problems) == [0]
    assert scored is not None
    start = f"{layout.scored}, line 1: "
    assert problems[0].startswith(start)
    return problems[0].removeprefix(start)


@pytest.mark.parametrize(
    ("task", "changes", "reason"),
    [
        ("arc_easy", {"choices": {"text": "ab"}}, "`choices.text` must be a list of at least 2 texts"),
        ("arc_easy", {"choices": {"text": ["a", 1]}}, "choice 1 of `choices.text` is 1, but must be a text"),
        ("arc_easy", {"choices": {"text": ["a", "b"], "label": ["A"]}}, "`choices.label` must name each choice"),
        ("arc_easy", {"question": " "}, "`question` is ' ', but must be a text"),
        ("hellaswag", {"label": ""}, "`label` is '', but must be a number from 0 to 3"),
        ("hellaswag", {"endings": ["a"]}, "`endings` must be a list of at least 2 texts"),
        ("hellaswag", {"ctx_a": 3}, "`ctx_a` is 3, but must be a text"),
        ("mmlu_anatomy", {"answer": 4}, "`answer` is 4, but must be a number from 0 to 3"),
        ("mmlu_anatomy", {"answer": True}, "`answer` is True, but must be a number from 0 to 3"),
        ("mmlu_anatomy", {"answer": "B"}, "`answer` is 'B', but must be a number from 0 to 3"),
        ("mmlu_anatomy", {"choices": ["a", "b", "c"]}, "`choices` has 3 choices, but must have 4"),
        ("truthfulqa_mc1", {"mc1_targets": []}, "`mc1_targets` must hold `choices` and `labels`"),
        (
            "truthfulqa_mc1",
            {"mc1_targets": {"choices": ["a", "b"], "labels": [0, 1]}},
            "`mc1_targets.labels` must have the true answer first",
        ),
        (
            "truthfulqa_mc1",
            {"mc2_targets": {"choices": ["a", "b"], "labels": [1]}},
            "`mc2_targets.labels` must give each choice 0 or 1",
        ),
        (
            "truthfulqa_mc1",
            {"mc2_targets": {"choices": ["a", "b"], "labels": [0, 0]}},
            "`mc2_targets.labels` must have the true answer first",
        ),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used(bench_dir: Path, task: str, changes: dict[str, Any], reason: str) -> None:
    assert problem(bench_dir, task, TASKS[task](1) | changes) == reason


def test_numbers_as_texts_and_blank_lines_are_taken(bench_dir: Path) -> None:
    path = bench_dir / "hellaswag" / "validation.jsonl"
    write(path, [hellaswag_row(2) | {"label": 2}, hellaswag_row(3)])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\n"))
    splits, _ = read_local("hellaswag", bench_dir)
    assert [row["label"] for row in splits["validation"].rows] == ["2", "3"]
    assert not splits["validation"].problems


def test_arcs_validation_split_is_the_train_file(bench_dir: Path) -> None:
    splits, _ = read_local("arc_challenge", bench_dir)
    assert splits["validation"] == splits["train"]
    assert len(splits["test"].rows) == 12


def test_a_line_that_is_no_object(bench_dir: Path) -> None:
    write(bench_dir / "truthfulqa" / "mc.jsonl", [truthfulqa_row(1), [1]])
    with pytest.raises(FileProblem, match=r"mc.jsonl, line 2: this line is not a JSON object"):
        read_local("truthfulqa_mc2", bench_dir)


def test_a_file_without_a_usable_row(bench_dir: Path) -> None:
    path = write(bench_dir / "truthfulqa" / "mc.jsonl", [])
    with pytest.raises(FileProblem, match=r"there is no sample in this file that can be used\."):
        read_local("truthfulqa_mc2", bench_dir)
    write(path, [{"a": 1}])
    with pytest.raises(FileProblem, match=r"can be used \(mc.jsonl, line 1: `question` is None"):
        read_local("truthfulqa_mc2", bench_dir)


def test_a_folder_in_the_files_place_and_an_unknown_task(bench_dir: Path) -> None:
    (bench_dir / "truthfulqa" / "mc.jsonl").unlink()
    (bench_dir / "truthfulqa" / "mc.jsonl").mkdir()
    with pytest.raises(FileProblem, match="cannot be read"):
        read_local("truthfulqa_mc2", bench_dir)
    with pytest.raises(FileProblem, match="no local files are described for the task 'gsm8k'"):
        read_local("gsm8k", bench_dir)
