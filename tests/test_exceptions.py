from __future__ import annotations

from pathlib import Path

import pytest

from harness.exceptions import (
    BadValue,
    CheckpointBroken,
    FileProblem,
    HarnessError,
    InputError,
    MissingExtra,
    StageFailed,
    UnknownName,
    nearest,
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("rougel", "rougeL"), ("ROUGEL", "rougeL"), ("bleuu", "bleu"), ("zzz", None), ("", None)],
)
def test_nearest_ignores_case_and_gives_up_on_strangers(given: str, expected: str | None) -> None:
    assert nearest(given, ["rougeL", "bleu", "chrf"]) == expected


def test_nearest_of_nothing() -> None:
    assert nearest("x", []) is None


def test_an_unknown_name_lists_the_choices_and_guesses() -> None:
    problem = UnknownName("metric", "blue", ["bleu", "chrf", "bleu"])
    assert str(problem) == "Unknown metric 'blue'. Did you mean 'bleu'? Allowed: bleu, chrf."
    assert (problem.given, problem.allowed) == ("blue", ["bleu", "chrf"])
    assert str(UnknownName("task", "x", [])) == "Unknown task 'x'. Allowed: none."


def test_a_bad_value_says_what_is_allowed() -> None:
    assert str(BadValue("level", 95, "between 0 and 1")) == "level is 95, but must be between 0 and 1."


def test_a_file_problem_names_the_line() -> None:
    problem = FileProblem("data.jsonl", "not JSON.", line=3)
    assert str(problem) == "data.jsonl, line 3: not JSON."
    assert (problem.path, problem.line) == (Path("data.jsonl"), 3)
    assert str(FileProblem(Path("a"), "missing.")) == "a: missing."


def test_a_missing_extra_says_how_to_install_it() -> None:
    assert "pip install 'checkpoint-harness[lm-eval]'" in str(MissingExtra("The bench", "lm_eval", "lm-eval"))


def test_a_failed_stage_says_how_to_go_on() -> None:
    problem = StageFailed("evaluate", "the disk is full.", "Run the same command again.")
    assert str(problem) == (
        "evaluate stopped: the disk is full. Everything done so far is stored. Run the same command again."
    )


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (CheckpointBroken("x"), 1),
        (InputError("x"), 2),
        (UnknownName("a", "b", []), 2),
        (BadValue("a", 1, "b"), 2),
        (FileProblem("a", "b"), 2),
        (MissingExtra("a", "b", "c"), 2),
        (StageFailed("a", "b", "c"), 3),
        (HarnessError("x"), 3),
    ],
)
def test_exit_codes(problem: HarnessError, code: int) -> None:
    # DESIGN section 3: 1 the answer is no, 2 usage or input, 3 failed half-way
    assert problem.exit_code == code
    assert isinstance(problem, HarnessError)
