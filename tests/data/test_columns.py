from collections.abc import Mapping
from typing import Any

import pytest

from harness.data.columns import UnknownColumns, map_rows
from harness.data.loading import LoadedRows, Row
from harness.exceptions import BadValue, InputError, UnknownName
from harness.records import Message, Sample


def loaded(*rows: Mapping[str, Any]) -> LoadedRows:
    columns = tuple(dict.fromkeys(column for row in rows for column in row))
    return LoadedRows("a.jsonl", "0", columns, tuple(Row(n, n, row) for n, row in enumerate(rows, start=1)))


RECOGNISED = [
    ({"question": "q", "answer": "a"}, "question/answer", Sample("row-1", "q", "a")),
    ({"Question ": "q", "ANSWER": "a"}, "Question /ANSWER", Sample("row-1", "q", "a")),
    ({"instruction": "q", "response": "a"}, "instruction/response", Sample("row-1", "q", "a")),
    ({"instruction": "q", "output": "a"}, "instruction/output", Sample("row-1", "q", "a")),
    (
        {"instruction": "q", "input": "c", "output": "a"},
        "instruction/input/output",
        Sample("row-1", "q", "a", "c"),
    ),
    (
        {"instruction": "q", "input": "", "response": "a"},
        "instruction/input/response",
        Sample("row-1", "q", "a"),
    ),
    ({"input": "q", "output": "a"}, "input/output", Sample("row-1", "q", "a")),
    ({"prompt": "q", "completion": "a"}, "prompt/completion", Sample("row-1", "q", "a")),
    ({"text": "a", "": "0"}, "text", Sample("row-1", "", "a", metadata={"": "0"})),
    ({"question": 4, "answer": True}, "question/answer", Sample("row-1", "4", "true")),
]


@pytest.mark.parametrize(("row", "label", "sample"), RECOGNISED, ids=[case[1] for case in RECOGNISED])
def test_recognised_column_sets(row: dict[str, Any], label: str, sample: Sample) -> None:
    mapped = map_rows(loaded(row))
    assert mapped.columns.label == label
    assert mapped.samples == (sample,)
    assert mapped.skipped == {}


def turn(role: str, content: object) -> dict[str, object]:
    return {"role": role, "content": content}


CONVERSATION = [
    turn("system", "s"),
    turn("user", "q1"),
    turn("assistant", "a1"),
    turn("user", "q2"),
    turn("assistant", "a2"),
    turn("user", "thanks"),
]


def test_messages_split_into_history_question_and_last_answer() -> None:
    (sample,) = map_rows(loaded({"messages": CONVERSATION, "source": "web"})).samples
    history = (Message("system", "s"), Message("user", "q1"), Message("assistant", "a1"))
    assert sample == Sample("row-1", "q2", "a2", history=history, metadata={"source": "web"})


def test_messages_as_json_text() -> None:
    import json

    (sample,) = map_rows(loaded({"messages": json.dumps(CONVERSATION[1:3])})).samples
    assert (sample.input, sample.target, sample.history) == ("q1", "a1", ())


def test_prompt_and_completion_as_turns() -> None:
    row = {"prompt": [turn("system", "s"), turn("user", "q")], "completion": [turn("assistant", "a")]}
    (sample,) = map_rows(loaded(row)).samples
    assert (sample.input, sample.target, sample.history) == ("q", "a", (Message("system", "s"),))


SKIPPED_MESSAGES = [
    ("no json", "messages that are not a list of turns"),
    (None, "messages that are not a list of turns"),
    ([], "messages without an answer"),
    ([turn("user", "q")], "messages without an answer"),
    ([turn("assistant", "a")], "messages without a question before the answer"),
    ([turn("system", "s"), turn("assistant", "a")], "messages without a question before the answer"),
    ([turn("user", " "), turn("assistant", "a")], "empty question"),
    ([turn("user", "q"), turn("assistant", None)], "empty answer"),
    ([turn("user", "q"), turn("tool", "a")], "messages with a turn that is not system, user or assistant"),
    (["q", "a"], "messages with a turn that is not system, user or assistant"),
    ([turn("user", ["q"]), turn("assistant", "a")], "messages with a turn that is not text"),
]


@pytest.mark.parametrize(("messages", "reason"), SKIPPED_MESSAGES)
def test_unusable_messages_are_counted(messages: object, reason: str) -> None:
    mapped = map_rows(loaded({"messages": CONVERSATION}, {"messages": messages}))
    assert [sample.id for sample in mapped.samples] == ["row-1"]
    assert mapped.skipped == {reason: (2,)}


def test_unusable_rows_are_counted_with_their_numbers() -> None:
    rows: list[dict[str, Any]] = [
        {"question": "q", "answer": "a"},
        {"question": "q", "answer": ""},
        {"question": " \n", "answer": "a"},
        {"question": "q", "answer": None},
        {"question": "q", "answer": float("nan")},
        {"question": "q"},
        {"question": "q", "answer": ["a"]},
        {"question": {"a": 1}, "answer": "a"},
        {"question": "half \ud800", "answer": "a"},
        {"question": "q2", "answer": "a"},
    ]
    mapped = map_rows(loaded(*rows))
    assert [sample.id for sample in mapped.samples] == ["row-1", "row-10"]
    assert mapped.skipped == {
        "empty answer": (2, 4, 5, 6),
        "empty question": (3,),
        "answer that is not text": (7,),
        "question that is not text": (8,),
        "broken character (half of a surrogate pair)": (9,),
    }


def test_other_scalar_columns_become_metadata() -> None:
    row = {
        "question": "q",
        "answer": "a",
        "n": 3,
        "ok": False,
        "x": 0.5,
        "topic": "t",
        "none": None,
        "l": [1],
    }
    (sample,) = map_rows(loaded(row | {"nan": float("nan")})).samples
    assert sample.metadata == {"n": "3", "ok": "false", "x": "0.5", "topic": "t"}


def test_unique_ids_of_the_data_are_kept() -> None:
    mapped = map_rows(loaded({"id": 7, "text": "a", "k": "v"}, {"id": "x", "text": "b"}))
    assert mapped.samples == (Sample("7", "", "a", metadata={"k": "v"}), Sample("x", "", "b"))


@pytest.mark.parametrize("second", [{"id": 7}, {"id": None}, {"id": " "}, {}])
def test_ids_that_repeat_or_are_missing_stay_metadata(second: dict[str, Any]) -> None:
    mapped = map_rows(loaded({"id": 7, "text": "a"}, {"text": "b", **second}), row_prefix="test-row")
    assert [sample.id for sample in mapped.samples] == ["test-row-1", "test-row-2"]
    assert mapped.samples[0].metadata == {"id": "7"}


def test_a_mapping_wins_over_recognition() -> None:
    rows = loaded({"question": "no", "answer": "no", "Q": "q", "A": "a", "C": "c"})
    mapped = map_rows(rows, {"input": "Q", "target": "A", "context": "C"})
    assert mapped.samples == (Sample("row-1", "q", "a", "c", metadata={"question": "no", "answer": "no"}),)
    assert mapped.also_fits == ()


def test_a_mapping_of_the_target_alone_gives_plain_text() -> None:
    (sample,) = map_rows(loaded({"body": "b"}), {"target": "body"}).samples
    assert (sample.input, sample.target) == ("", "b")


def test_a_second_set_that_fits_is_named() -> None:
    mapped = map_rows(loaded({"text": "t", "question": "q", "answer": "a"}))
    assert mapped.columns.label == "question/answer"
    assert [other.label for other in mapped.also_fits] == ["text"]


MAPPING_PROBLEMS: list[tuple[dict[str, Any], type[InputError], str]] = [
    (
        {"inputs": "q", "target": "a"},
        UnknownName,
        "Unknown column mapping key 'inputs'. Did you mean 'input'?",
    ),
    (
        {"input": "quest", "target": "a"},
        UnknownName,
        "Unknown column of a.jsonl 'quest'. Did you mean 'question'?",
    ),
    ({"input": "question"}, BadValue, "a mapping that names the target column"),
    ({"target": 3}, BadValue, "columns.target is 3, but must be the name of a column"),
    ({"target": ""}, BadValue, "columns.target is '', but must be the name of a column"),
]


@pytest.mark.parametrize(("mapping", "kind", "sentence"), MAPPING_PROBLEMS)
def test_bad_mapping(mapping: dict[str, Any], kind: type[InputError], sentence: str) -> None:
    with pytest.raises(kind) as caught:
        map_rows(loaded({"question": "q", "a": "a"}), mapping)
    assert sentence in str(caught.value)


def test_unknown_columns_say_what_is_known() -> None:
    with pytest.raises(UnknownColumns) as caught:
        map_rows(loaded({"q": "q", "a": "a"}))
    assert str(caught.value).startswith(
        "a.jsonl: the columns 'q', 'a' are not a known set (question/answer, "
    )
    assert "columns: {input: COLUMN, target: COLUMN}" in str(caught.value)
