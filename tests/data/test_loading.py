import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.data.loading import LoadedRows, load_rows
from harness.exceptions import FileProblem, InputError

Write = Callable[[str, str | bytes], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def save(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return save


def values(loaded: LoadedRows) -> list[dict[str, object]]:
    return [dict(row.values) for row in loaded.rows]


PAIRS = [
    {"question": "Größe?", "answer": "1\u20282"},
    {"question": 'with "quotes", and comma', "answer": "two\nlines"},
]


def test_jsonl_numbers_rows_and_lines_and_ignores_blank_lines(write: Write) -> None:
    text = "\ufeff" + json.dumps(PAIRS[0], ensure_ascii=False) + "\r\n\n" + json.dumps(PAIRS[1]) + "\n"
    source = write("a.jsonl", text)
    loaded = load_rows(source)
    assert values(loaded) == PAIRS
    assert [(row.number, row.line) for row in loaded.rows] == [(1, 1), (2, 3)]
    assert loaded.columns == ("question", "answer")
    assert loaded.digest == hashlib.sha256(text.encode()).hexdigest()
    assert loaded.source == source


@pytest.mark.parametrize("wrapped", [PAIRS, {"version": "1", "data": PAIRS}])
def test_json_list_or_object_with_one_list(write: Write, wrapped: object) -> None:
    assert values(load_rows(write("a.json", json.dumps(wrapped)))) == PAIRS


def test_columns_are_those_of_all_rows(write: Write) -> None:
    loaded = load_rows(write("a.jsonl", '{"a": 1}\n{"b": 2, "a": 3}\n'))
    assert loaded.columns == ("a", "b")


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t")])
def test_separated_values(write: Write, name: str, separator: str) -> None:
    lines = [
        separator.join(cells) for cells in (("question", " answer"), ("q1", '"a\n1"'), ("", ""), ("q2",))
    ]
    loaded = load_rows(write(name, "\n".join(lines) + "\n"))
    assert values(loaded) == [{"question": "q1", "answer": "a\n1"}, {"question": "q2", "answer": None}]
    assert [row.line for row in loaded.rows] == [3, 5]


def test_a_cell_may_be_longer_than_the_csv_module_allows_by_default(write: Write) -> None:
    loaded = load_rows(write("a.csv", "text\n" + "x" * 200_000 + "\n"))
    assert len(str(loaded.rows[0].values["text"])) == 200_000


def test_parquet(tmp_path: Path) -> None:
    import datasets

    path = tmp_path / "a.parquet"
    datasets.Dataset.from_list(PAIRS).to_parquet(path)
    assert values(load_rows(str(path))) == PAIRS


DEEP = "[" * 100_000

PROBLEMS = [
    ("a.jsonl", "", "is empty"),
    ("a.jsonl", " \n\n", "is empty"),
    ("a.json", "[]", "holds no rows"),
    ("a.csv", "question,answer\n", "holds no rows"),
    ("a.jsonl", '{"a": 1}\n{"a": \n', "line 2: this is not JSON (Expecting value"),
    ("a.jsonl", '{"a": 1}\n\n[1]\n', "line 3: this line is a list, but must be an object"),
    ("a.jsonl", "7", "line 1: this line is a int, but must be an object"),
    ("a.jsonl", DEEP, "line 1: this JSON cannot be read: nested too deeply"),
    (
        "a.jsonl",
        '{"a": ' + "1" * 5000 + "}",
        "line 1: this JSON cannot be read: a number has too many digits",
    ),
    ("a.jsonl", b'{"a": "1"}\n{"a": "\xff"}\n', "line 2: byte 0xff is not UTF-8 text"),
    ("a.json", '{"a": 1}\n{"a": 2}\n', "line 2: the file holds several JSON values; rename it to .jsonl"),
    ("a.json", '{"a": 1}', "it holds no list"),
    ("a.json", '{"a": [], "b": []}', "it holds lists under 'a', 'b'"),
    ("a.json", "3", "this must be a list of objects, or an object with one such list, not int"),
    ("a.json", '[{"a": 1}, 2]', "row 2 is a int, but must be an object"),
    ("a.csv", "a,b\n1,2,3\n", "line 2: this row has 3 cells, but the header names 2 columns"),
    ("a.csv", "a,a\n1,2\n", "line 1: the header names the column 'a' twice"),
    ("a.csv", "question;answer\n1;2\n", "line 1: the header has one column and holds ';'"),
    ("a.csv", 'a,b\n"x"y,2\n', "line 2: this is not valid csv"),
    ("a.parquet", b"PAR1 but no more", "this is not a readable parquet file"),
    ("a.txt", "hello", "the ending '.txt' is not a known data format; allowed are .jsonl"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), PROBLEMS, ids=range(len(PROBLEMS)))
def test_bad_file_is_one_sentence_that_names_it(
    write: Write, name: str, content: str | bytes, sentence: str
) -> None:
    source = write(name, content)
    with pytest.raises(FileProblem) as caught:
        load_rows(source)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(source)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_missing_file_names_the_nearest_one(write: Write, tmp_path: Path) -> None:
    near = write("train_docs.jsonl", "{}")
    write("other.csv", "a\n1\n")
    with pytest.raises(FileProblem, match="does not exist") as caught:
        load_rows(str(tmp_path / "train_doc.jsonl"))
    assert f"Did you mean {near!r}?" in str(caught.value)


def test_missing_file_without_a_near_one(tmp_path: Path) -> None:
    with pytest.raises(FileProblem) as caught:
        load_rows(str(tmp_path / "a.jsonl"))
    assert str(caught.value).endswith("this file does not exist.")


def test_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match=r"The folder .* does not exist either"):
        load_rows(str(tmp_path / "no" / "a.jsonl"))


def test_folder_is_not_a_data_file(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="this is a folder"):
        load_rows(str(tmp_path))


def test_unreadable_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write("a.jsonl", "{}")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(FileProblem, match=r"cannot be read \(Permission denied\)"):
        load_rows(source)


def test_hub_set_is_read_with_a_digest_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: list[tuple[object, ...]] = []

    def fake(name: str, config: str | None, *, split: str) -> object:
        asked.append((name, config, split))
        return datasets.Dataset.from_list(PAIRS)

    monkeypatch.setattr(datasets, "load_dataset", fake)
    loaded = load_rows("owner/name:part@test")
    assert asked == [("owner/name", "part", "test")]
    assert values(loaded) == PAIRS
    assert [row.number for row in loaded.rows] == [1, 2]
    # Canonical rows: JSON with sorted keys, a line end after each.
    lines = "".join(json.dumps(row, sort_keys=True) + "\n" for row in PAIRS)
    assert loaded.digest == hashlib.sha256(lines.encode()).hexdigest()
    load_rows("name")
    assert asked[1] == ("name", None, "train")


def test_unreachable_hub_set_hints_at_a_file_of_that_name(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    def fake(*_: object, **__: object) -> object:
        raise ConnectionError("Couldn't reach 'docs' on the Hub\nmore")

    monkeypatch.setattr(datasets, "load_dataset", fake)
    write("docs.jsonl", "{}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        load_rows("docs")
    assert str(caught.value) == (
        "'docs' is neither a file nor a data set that the hub can give "
        "(Couldn't reach 'docs' on the Hub). Did you mean 'docs.jsonl'?"
    )
