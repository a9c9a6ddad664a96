from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.data.templates import get_template
from harness.exceptions import BadValue, FileProblem, InputError, UnknownName
from harness.models.base import Decoding
from harness.records import Message, Sample
from harness.tasks import DEFAULT_METRICS, HELD_OUT, Task, TaskFile, load_task, make_task, shipped_tasks

ROWS = [{"question": f"What is {i}?", "answer": f"It is {i}."} for i in range(5)]


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    write_rows(tmp_path / "rows.jsonl", ROWS)
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ndata: rows.jsonl\nmetrics: [exact_match]\ndecoding: {max_new_tokens: 7}\n")
    return path


@pytest.mark.parametrize("name", sorted(shipped_tasks()))
def test_a_shipped_task_loads_with_all_it_needs(name: str) -> None:
    task = load_task(name)
    assert task.name == name
    assert len(task.samples) >= 60
    assert len({sample.id for sample in task.samples}) == len(task.samples)
    assert all(sample.target for sample in task.samples)
    assert task.metrics
    assert task.categorizers
    prompts = task.prompts()
    assert len(prompts) == len(task.samples)
    assert isinstance(prompts[0], tuple)
    assert prompts[0][-1].role == "user"


def test_experiments_are_no_tasks() -> None:
    assert "harness_qa" in shipped_tasks()
    assert not {"demo", "docs-qa"} & set(shipped_tasks())


def test_a_yaml_file_reads_its_data_beside_itself(
    task_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    task = load_task(str(task_file))
    assert (task.name, task.decoding.max_new_tokens, len(task.metrics)) == ("mine", 7, 1)
    assert [sample.input for sample in task.samples] == [row["question"] for row in ROWS]


def test_a_spec_changes_what_the_file_says(task_file: Path) -> None:
    task = load_task(
        {"task": str(task_file), "limit": 2, "template": "plain", "decoding": {"stop": ["\n"]}, "name": "two"}
    )
    assert (task.name, len(task.samples)) == ("two", 2)
    assert task.prompts()[0] == get_template("plain").prompt(task.samples[0])
    assert task.decoding == Decoding(stop=("\n",))  # the block is replaced whole


def test_rows_that_cannot_be_asked_are_counted(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [*ROWS, {"question": "hollow?", "answer": ""}])
    assert load_task(str(path)).skipped == {"empty answer": 1}
    write_rows(path, [{"question": "hollow?", "answer": ""}])
    with pytest.raises(FileProblem, match=r"no row of 1 can be used \(empty answer: 1\)"):
        load_task(str(path))


def test_a_data_file_is_a_task_of_its_own(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", ROWS)
    task = load_task(str(path))
    assert (task.name, len(task.samples)) == ("rows", 5)
    measures = len(task.metrics)
    assert measures == len(DEFAULT_METRICS)


def test_columns_of_the_user_s_own_are_mapped(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "odd.jsonl", [{"frage": "Was?", "antwort": "Das."}])
    with pytest.raises(InputError, match="'frage', 'antwort' are not a known set"):
        load_task(str(path))
    [sample] = load_task({"task": str(path), "columns": {"input": "frage", "target": "antwort"}}).samples
    assert (sample.input, sample.target) == ("Was?", "Das.")


@pytest.mark.parametrize(
    ("spec", "kind", "sentence"),
    [
        ("harness_qua", UnknownName, "Unknown task 'harness_qua'. Did you mean 'harness_qa'? Allowed: "),
        ("gone.yaml", FileProblem, "gone.yaml: there is no such file."),
        ("gone.jsonl", FileProblem, "gone.jsonl: there is no such data file."),
        ({}, BadValue, "a task is {}, but must be a name, a file, or {task: NAME, limit: N, ...}."),
        ({"limit": 3}, BadValue, "a task is {'limit': 3}, but must be a name"),
        ({"task": 3}, BadValue, "a task is {'task': 3}, but must be a name"),
        (HELD_OUT, InputError, "The task 'held_out' is the test split of an experiment"),
        (
            {"task": "harness_qa", "limits": 1},
            UnknownName,
            "Unknown key at 'harness_qa.limits': 'limits'. Did",
        ),
        (
            {"task": "harness_qa", "limit": "x"},
            BadValue,
            "harness_qa.limit is 'x', but must be a whole number.",
        ),
        ({"task": "harness_qa", "limit": 0}, BadValue, "limit is 0, but must be 1 or more."),
        ({"task": "harness_qa", "limit": -1}, BadValue, "limit is -1, but must be 1 or more."),
        (
            {"task": "harness_qa", "random_baseline": float("nan")},
            BadValue,
            "random_baseline is nan, but must be a finite number.",
        ),
        ({"task": "harness_qa", "metrics": ["nope"]}, UnknownName, "Unknown metric 'nope'."),
        ({"task": "harness_qa", "template": "nope"}, UnknownName, "Unknown prompt template 'nope'."),
        ({"task": "harness_qa", "data": "gone.jsonl"}, FileProblem, "gone.jsonl: this file does not exist."),
    ],
)
def test_a_task_that_cannot_be_loaded_says_why(spec: Any, kind: type[InputError], sentence: str) -> None:
    with pytest.raises(kind) as caught:
        load_task(spec)
    assert str(caught.value).startswith(sentence)


def test_the_path_of_a_file_leads_to_its_unknown_key(task_file: Path) -> None:
    task_file.write_text("name: mine\ndata: rows.jsonl\nmetrix: [bleu]\n")
    with pytest.raises(UnknownName) as caught:
        load_task(str(task_file))
    assert str(caught.value).startswith(
        f"Unknown key at '{task_file}.metrix': 'metrix'. Did you mean 'metrics'?"
    )


def test_a_task_without_samples_is_refused() -> None:
    with pytest.raises(InputError, match=r"^The task 'empty' has no samples\.$"):
        make_task("empty", [], TaskFile("empty", ""))


def make(decoding: Decoding, template: str = "plain") -> Task:
    return make_task(
        "t", [Sample("1", "Why?", "So.")], TaskFile("t", "", template=template, decoding=decoding)
    )


def test_the_template_s_stop_strings_are_asked_too() -> None:
    template = get_template("question_answer")
    assert template.stop
    own = (template.stop[0], "END")
    task = make(Decoding(stop=own), "question_answer")
    assert task.asked.stop == (*own, *template.stop[1:])
    assert make(Decoding(), "chat").prompts() == [(Message("user", "Why?"),)]


def test_the_signature_holds_all_that_changes_a_number() -> None:
    greedy = make(Decoding(max_new_tokens=9))
    template = get_template("plain").signature
    stops = f",stop={list(greedy.asked.stop)!r}" if greedy.asked.stop else ""
    start, data, rest = greedy.signature.split("|", 2)
    assert (start, rest) == ("task:t", f"template:{template}|greedy,max=9{stops}")
    corrected = replace(greedy, samples=(replace(greedy.samples[0], target="corrected"), *greedy.samples[1:]))
    assert data.startswith("data:")
    assert corrected.signature.split("|")[1] != data
    sampled = make(Decoding(max_new_tokens=9, temperature=0.7, top_p=0.9, seed=3))
    assert "|t=0.7,p=0.9,seed=3,max=9" in sampled.signature
    signatures = {
        make(decoding, template).signature
        for template in ("plain", "chat")
        for decoding in (
            Decoding(),
            Decoding(max_new_tokens=5),
            Decoding(temperature=1.0),
            Decoding(temperature=1.0, seed=1),
            Decoding(temperature=1.0, top_p=0.5),
            Decoding(stop=("x",)),
        )
    }
    assert len(signatures) == 12
