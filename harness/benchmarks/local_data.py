"""Local benchmark files in the hub's own schema: which task reads which file, and what a usable row is.

A line that is no JSON object, or a missing file, stops everything (FileProblem with the line). A row that
cannot be scored, for example one without a right answer, is a failed sample: the others go on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.exceptions import FileProblem

Row = dict[str, Any]
_MMLU = "mmlu_"


class UnusableRow(Exception):
    """Why a row cannot be used, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the data of one task lie. splits: lm-eval's split name -> file name; clean: checks a row."""

    folder: str
    scored: str
    shots: str | None
    splits: Mapping[str, str]
    clean: Callable[[Mapping[str, Any]], Row]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of one file. A row that cannot be used is there as a copy of another one, its reason in `problems`."""

    rows: tuple[Row, ...]
    problems: Mapping[int, str]


def layout_of(task: str) -> Layout | None:
    """The files of a task of lm-eval, None for a task that only the hub can give."""
    if task.startswith(_MMLU):
        folder = f"mmlu/{task.removeprefix(_MMLU)}"
        return Layout(folder, "test.jsonl", "dev.jsonl", {"test": "test.jsonl", "dev": "dev.jsonl"}, _mmlu)
    return _LAYOUTS.get(task)


def read_local(task: str, data_dir: Path) -> tuple[dict[str, Split], str | None]:
    """Read the files of one task: lm-eval's split -> rows, and the path of the scored file.

    FileProblem where a file is missing, a line is no JSON object, a few-shot row cannot be used, or no row
    of the scored file can.
    """
    layout = layout_of(task)
    if layout is None:
        raise FileProblem(data_dir, f"no local files are described for the task {task!r}.")
    folder = data_dir / layout.folder
    read: dict[str, Split] = {}
    for name in dict.fromkeys(layout.splits.values()):
        read[name] = _read(folder / name, layout.clean, strict=name != layout.scored)
    splits = {split: read[name] for split, name in layout.splits.items()}
    return splits, str(folder / layout.scored)


def _read(path: Path, clean: Callable[[Mapping[str, Any]], Row], *, strict: bool) -> Split:
    rows: list[Row | None] = []
    problems: dict[int, str] = {}
    for number, value in _objects(path):
        try:
            rows.append(_encodable(clean(value)))
        except UnusableRow as problem:
            if strict:
                raise FileProblem(path, f"{problem}.", number) from problem
            problems[len(rows)] = f"{path.name}, line {number}: {problem}"
            rows.append(None)
    good = next((row for row in rows if row is not None), None)
    if good is None:
        first = f" ({next(iter(problems.values()))})" if problems else ""
        raise FileProblem(path, f"there is no sample in this file that can be used{first}.")
    return Split(tuple(good if row is None else row for row in rows), problems)


def _encodable(row: Row) -> Row:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as problem:
        raise UnusableRow("a text holds half a character (a lone surrogate)") from problem
    return row


def _objects(path: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """(line number from 1, object) of every line that is not blank."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as problem:
        raise FileProblem(path, "this file of the benchmark is missing.") from problem
    except OSError as problem:
        raise FileProblem(path, f"this file cannot be read ({problem.strerror}).") from problem
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as problem:
            raise FileProblem(path, "this line is not JSON.", number) from problem
        if not isinstance(value, dict):
            raise FileProblem(path, "this line is not a JSON object.", number)
        yield number, value


def _arc(row: Mapping[str, Any]) -> Row:
    choices = row.get("choices")
    if not isinstance(choices, dict):
        raise UnusableRow("`choices` must hold `text` and `label`")
    texts = _choices(choices.get("text"), "choices.text")
    labels = choices.get("label")
    if not isinstance(labels, list) or len(labels) != len(texts):
        raise UnusableRow("`choices.label` must name each choice")
    names = [str(label) for label in labels]
    key = str(row.get("answerKey"))
    if key not in names:
        raise UnusableRow(f"the answer key {row.get('answerKey')!r} is none of the labels {', '.join(names)}")
    return {
        "question": _text(row, "question"),
        "choices": {"text": texts, "label": names},
        "answerKey": key,
    }


def _hellaswag(row: Mapping[str, Any]) -> Row:
    endings = _choices(row.get("endings"), "endings")
    label = row.get("label")
    gold = int(label) if isinstance(label, str) and label.strip().isdigit() else label
    _check_gold(gold, endings, "label")
    texts = {name: _text(row, name, empty=name == "ctx_b") for name in ("activity_label", "ctx_a", "ctx_b")}
    return {**texts, "endings": endings, "label": str(gold)}


def _mmlu(row: Mapping[str, Any]) -> Row:
    choices = _choices(row.get("choices"), "choices")
    if len(choices) != 4:
        raise UnusableRow(f"`choices` has {len(choices)} choices, but must have 4")
    _check_gold(row.get("answer"), choices, "answer")
    return {"question": _text(row, "question"), "choices": choices, "answer": row["answer"]}


def _truthfulqa(row: Mapping[str, Any]) -> Row:
    found: Row = {"question": _text(row, "question")}
    for name in ("mc1_targets", "mc2_targets"):
        targets = row.get(name)
        if not isinstance(targets, dict):
            raise UnusableRow(f"`{name}` must hold `choices` and `labels`")
        choices, labels = _choices(targets.get("choices"), f"{name}.choices"), targets.get("labels")
        if not isinstance(labels, list) or len(labels) != len(choices) or not set(labels) <= {0, 1}:
            raise UnusableRow(f"`{name}.labels` must give each choice 0 or 1")
        if 1 not in labels or (name == "mc1_targets" and labels.index(1) != 0):
            raise UnusableRow(f"`{name}.labels` must have the true answer first")
        found[name] = {"choices": choices, "labels": labels}
    return found


def _text(row: Mapping[str, Any], name: str, *, empty: bool = False) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not (value.strip() or empty):
        raise UnusableRow(f"`{name}` is {value!r}, but must be a text")
    return value


def _choices(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or len(value) < 2:
        raise UnusableRow(f"`{name}` must be a list of at least 2 texts")
    for place, choice in enumerate(value):
        if not isinstance(choice, str):
            raise UnusableRow(f"choice {place} of `{name}` is {choice!r}, but must be a text")
        if not choice.strip():
            raise UnusableRow(f"choice {place} of `{name}` is empty")
    return value


def _check_gold(gold: Any, choices: Sequence[str], name: str) -> None:
    if not isinstance(gold, int) or isinstance(gold, bool) or not 0 <= gold < len(choices):
        raise UnusableRow(f"`{name}` is {gold!r}, but must be a number from 0 to {len(choices) - 1}")


def _arc_layout(folder: str) -> Layout:
    # lm-eval also loads a validation split, which neither few-shots nor scores use.
    splits = {"train": "train.jsonl", "validation": "train.jsonl", "test": "test.jsonl"}
    return Layout(folder, "test.jsonl", "train.jsonl", splits, _arc)


_TRUTHFULQA = Layout("truthfulqa", "mc.jsonl", None, {"validation": "mc.jsonl"}, _truthfulqa)
_LAYOUTS: Mapping[str, Layout] = {
    "arc_easy": _arc_layout("arc_easy"),
    "arc_challenge": _arc_layout("arc_challenge"),
    "hellaswag": Layout(
        "hellaswag",
        "validation.jsonl",
        "train.jsonl",
        {"train": "train.jsonl", "validation": "validation.jsonl"},
        _hellaswag,
    ),
    "truthfulqa_mc1": _TRUTHFULQA,
    "truthfulqa_mc2": _TRUTHFULQA,
}
