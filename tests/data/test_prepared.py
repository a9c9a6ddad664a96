import json
from pathlib import Path

import pytest

from harness.data.prepare import prepare
from harness.data.prepared import CARD, Prepared, read_prepared, write_prepared
from harness.data.settings import DataSettings
from harness.data.split import SplitSettings
from harness.exceptions import FileProblem, StageFailed

WORDS = (
    "gate",
    "store",
    "run",
    "task",
    "judge",
    "rubric",
    "metric",
    "score",
    "seed",
    "shard",
    "match",
    "rating",
)


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"question": f"{word} ?", "answer": "ä"}) + "\n" for word in WORDS))
    return prepare(DataSettings(str(path), split=SplitSettings(2, 3)))


def test_a_folder_comes_back_equal(prepared: Prepared, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "out"
    write_prepared(prepared, folder)
    assert read_prepared(folder) == prepared
    assert sorted(path.name for path in folder.iterdir()) == [
        "card.json",
        "test.jsonl",
        "train.jsonl",
        "validation.jsonl",
    ]
    write_prepared(prepared, str(folder))
    assert read_prepared(str(folder)) == prepared


def test_an_output_folder_that_is_a_file(prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileProblem, match="must be an output folder"):
        write_prepared(prepared, tmp_path / "out")


def test_a_write_that_broke_off_is_not_taken_for_finished(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    write_prepared(prepared, folder)

    def full(path: Path, _: bytes) -> None:
        raise StageFailed("Preparing the data", f"{path} could not be written.", "Again.")

    monkeypatch.setattr("harness.data.prepared.write_whole", full)
    with pytest.raises(StageFailed):
        write_prepared(prepared, folder)
    with pytest.raises(FileProblem, match=r"this is not a folder of prepared data; it has no card\.json"):
        read_prepared(folder)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"leaks": 3, "examples": [], "warnings": []}'])
def test_a_card_that_is_none(prepared: Prepared, tmp_path: Path, content: str) -> None:
    write_prepared(prepared, tmp_path / "out")
    (tmp_path / "out" / CARD).write_text(content)
    with pytest.raises(FileProblem, match="this is not a data card"):
        read_prepared(tmp_path / "out")


def test_a_missing_part(prepared: Prepared, tmp_path: Path) -> None:
    write_prepared(prepared, tmp_path / "out")
    (tmp_path / "out" / "test.jsonl").unlink()
    with pytest.raises(FileProblem, match=r"test.jsonl: this file cannot be read"):
        read_prepared(tmp_path / "out")
