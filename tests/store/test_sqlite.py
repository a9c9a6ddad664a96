from __future__ import annotations

import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.exceptions import FileProblem, StageFailed
from harness.store import Store, Table, sqlite

Start = Callable[..., subprocess.Popen[str]]
NOBODY = 65534

WRITING = """
import sys
from harness.store import Store, Table
path, own = sys.argv[1:]
sys.stdin.readline()
for turn in range(3):
    with Store(path) as store:
        for number in range(turn * 10, turn * 10 + 10):
            batch = {f"shared-{number}-{part}": own for part in range(5)}
            store.put_many(Table.SCORES, batch | {f"{own}-{number}": number})
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.sqlite") as opened:
        yield opened


@pytest.fixture
def plain_user() -> Iterator[Path]:
    """An empty folder of a user whom permissions bind: they do not bind root."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    yield folder
    folder.chmod(0o755)
    if root:
        os.seteuid(0)
    shutil.rmtree(folder)


def one_line(problem: pytest.ExceptionInfo[Exception]) -> str:
    text = str(problem.value)
    assert "\n" not in text
    return text


def test_it_is_made_with_its_folders_and_found_again(tmp_path: Path) -> None:
    workspace = tmp_path / "a" / "b"
    with Store.open(workspace) as store:
        assert store.put_many(Table.RUNS, {"k": {"x": [1, None, "ä"]}}) == 1
    assert (workspace / "store.sqlite").is_file()
    with Store.open(workspace) as store:
        assert store.get_many(Table.RUNS, ["k", "absent"]) == {"k": {"x": [1, None, "ä"]}}


def test_every_commit_is_synced_to_a_write_ahead_log(store: Store) -> None:
    assert store._number("PRAGMA synchronous") == 2  # FULL, sqlite.org/pragma.html
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == (b"wal",)


def test_what_is_stored_stays(store: Store) -> None:
    assert store.put_many(Table.SCORES, {"a": 1}) == 1
    assert store.put_many(Table.SCORES, {"a": 2, "b": 3}) == 1
    assert store.put_many(Table.SCORES, {"a": 2}) == 0
    assert store.put_many(Table.SCORES, {}) == 0
    assert store.get_many(Table.SCORES, ["a", "b"]) == {"a": 1, "b": 3}


def test_tables_are_apart(store: Store) -> None:
    for table in Table:
        store.put_many(table, {"k": str(table)})
    assert [store.get_many(table, ["k"])["k"] for table in Table] == [str(table) for table in Table]


def test_a_table_must_be_one_of_the_four(store: Store) -> None:
    with pytest.raises(ValueError, match="is not a valid Table"):
        store.get_many("sqlite_master", ["k"])  # type: ignore[arg-type]


def test_more_keys_than_one_statement_takes(store: Store) -> None:
    values = {str(number): number for number in range(1201)}
    assert store.put_many(Table.RESPONSES, values) == 1201
    assert store.get_many(Table.RESPONSES, iter([*values, "absent"])) == values
    assert store.get_many(Table.RESPONSES, []) == {}


def test_values_that_are_not_finite_and_lone_surrogates_come_back(store: Store) -> None:
    text = "\ud800 \udfff \ud83d\ude00 \U0001f600 \x00"
    store.put_many(Table.RESPONSES, {"k": [math.inf, -math.inf, text], "n": {"value": math.nan}})
    found = store.get_many(Table.RESPONSES, ["k", "n"])
    assert found["k"] == [math.inf, -math.inf, text]
    assert math.isnan(found["n"]["value"])


def test_values_are_readable_json_text(store: Store) -> None:
    store.put_many(Table.RESPONSES, {"k": {"text": "ä"}})
    with sqlite3.connect(store.path) as other:
        ((kind, value),) = other.execute("SELECT typeof(value), value FROM responses")
    assert (kind, json.loads(value)) == ("text", {"text": "ä"})
    other.close()


def test_a_value_that_json_cannot_hold_leaves_the_batch_out(store: Store) -> None:
    with pytest.raises(TypeError):
        store.put_many(Table.RUNS, {"a": 1, "b": object()})
    assert store.get_many(Table.RUNS, ["a"]) == {}


def test_ctrl_c_in_a_batch_leaves_it_out_and_the_store_usable(store: Store) -> None:
    def interrupted() -> None:
        with store._transaction():
            store._connection.execute("INSERT INTO runs VALUES ('a', '1')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert store.get_many(Table.RUNS, ["a"]) == {}
    assert store.put_many(Table.RUNS, {"a": 2}) == 1


def test_a_full_disk_stops_the_stage_and_loses_nothing(store: Store) -> None:
    store.put_many(Table.RESPONSES, {"a": 1})
    pages = store._number("PRAGMA page_count")
    store._connection.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(StageFailed) as caught:
        store.put_many(Table.RESPONSES, {f"b{n}": "x" * 5000 for n in range(9)})
    assert "Storing stopped: " in one_line(caught)
    assert "the disk is full. Everything done so far is stored." in str(caught.value)
    assert caught.value.exit_code == 3
    assert store.get_many(Table.RESPONSES, ["a", "b0", "b8"]) == {"a": 1}
    store._connection.execute("PRAGMA max_page_count=100000")
    assert store.put_many(Table.RESPONSES, {"b0": 2}) == 1


def test_a_disk_that_takes_no_more_bytes(tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "from harness.exceptions import HarnessError\n"
        "from harness.store import Store, Table\n"
        "store = Store(sys.argv[1])\n"
        "store.put_many(Table.RUNS, {'a': 1})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    store.put_many(Table.RUNS, {'b': 'x' * 200_000, 'c': 1})\n"
        "except HarnessError as problem:\n"
        "    print(problem)\n"
        "    print(sorted(store.get_many(Table.RUNS, ['a', 'b', 'c'])))\n"
    )
    path = tmp_path / "store.sqlite"
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    sentence, kept = done.stdout.splitlines()
    assert "the disk refused to read or write (disk I/O error); is it full or gone?" in sentence
    assert kept == "['a']"
    with Store(path) as store:
        assert store.get_many(Table.RUNS, ["a", "b", "c"]) == {"a": 1}


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").mkdir()
    with pytest.raises(FileProblem, match="a folder stands where the store should be") as caught:
        Store.open(tmp_path)
    one_line(caught)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_workspace_that_is_a_file(tmp_path: Path, below: str) -> None:
    file = tmp_path / "runs"
    file.write_text("notes")
    with pytest.raises(FileProblem, match="this folder cannot be used for the store") as caught:
        Store.open(file / below)
    one_line(caught)
    assert file.read_text() == "notes"


def test_a_file_that_is_not_sqlite_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    file.write_text("my notes, not a database\n" * 100)
    with pytest.raises(FileProblem, match="this is not an SQLite file") as caught:
        Store(file)
    one_line(caught)
    assert file.read_text() == "my notes, not a database\n" * 100


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE t (x)", "PRAGMA user_version=1", "PRAGMA application_id=7"]
)
def test_another_programs_database_is_left_alone(tmp_path: Path, statement: str) -> None:
    file = tmp_path / "store.sqlite"
    with sqlite3.connect(file) as other:
        other.execute(statement)
    other.close()
    before = file.read_bytes()
    with pytest.raises(FileProblem, match="belongs to another program") as caught:
        Store(file)
    one_line(caught)
    assert file.read_bytes() == before


def test_a_newer_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    with Store(file) as store:
        store._connection.execute(f"PRAGMA user_version={sqlite.VERSION + 1}")
    with pytest.raises(
        FileProblem, match=r"this store has version 2, .* reads up to version 1; update"
    ) as caught:
        Store(file)
    one_line(caught)


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").touch()
    with Store.open(tmp_path) as store:
        assert store.put_many(Table.RUNS, {"a": 1}) == 1


def test_a_damaged_store_is_named(tmp_path: Path) -> None:
    file = tmp_path / "store.sqlite"
    with Store(file) as store:
        store.put_many(Table.RESPONSES, {str(n): "x" * 500 for n in range(200)})
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    file.write_bytes(data)
    with Store(file) as store, pytest.raises(StageFailed, match="this store is damaged") as caught:
        store.get_many(Table.RESPONSES, ["1"])
    assert "Reading the store stopped" in one_line(caught)


def test_a_read_only_folder(plain_user: Path) -> None:
    plain_user.chmod(0o555)
    with pytest.raises(FileProblem, match="check the permissions") as caught:
        Store(plain_user / "store.sqlite")
    one_line(caught)
    with pytest.raises(FileProblem, match=r"cannot be used for the store \(Permission denied\)"):
        Store.open(plain_user / "runs")


def test_a_read_only_store_is_noticed_on_opening(plain_user: Path) -> None:
    with Store.open(plain_user) as store:
        store.put_many(Table.RUNS, {"a": 1})
    (plain_user / "store.sqlite").chmod(0o444)
    with pytest.raises(FileProblem, match="it cannot be written; check the permissions") as caught:
        Store.open(plain_user)
    one_line(caught)
    (plain_user / "store.sqlite").chmod(0o644)
    with Store.open(plain_user) as store:
        assert store.get_many(Table.RUNS, ["a"]) == {"a": 1}


def test_a_folder_without_entry_hides_the_store(plain_user: Path) -> None:
    plain_user.chmod(0o000)
    with pytest.raises(FileProblem, match=r"cannot be used for the store \(Permission denied\)"):
        Store(plain_user / "store.sqlite")


def test_a_store_locked_for_too_long(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    with (
        Store(store.path) as other,
        store._transaction(),
        pytest.raises(StageFailed, match="keeps it locked"),
    ):
        other.put_many(Table.RUNS, {"a": 1})
    with store._transaction(), pytest.raises(FileProblem, match="another process keeps it locked"):
        Store(store.path)


def test_a_rollback_journal_in_use_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "store.sqlite"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.15, other.rollback).start()
    with Store(file) as store:
        assert store.put_many(Table.RUNS, {"a": 1}) == 1
    other.close()

    late = tmp_path / "late.sqlite"
    holder = sqlite3.connect(late, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    with pytest.raises(FileProblem, match="keeps it locked"):
        Store(late)
    holder.close()


def test_other_sqlite_problems_are_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: Any, **__: Any) -> sqlite3.Connection:
        message = "odd"
        raise sqlite3.InterfaceError(message)

    monkeypatch.setattr(sqlite3, "connect", broken)
    with pytest.raises(FileProblem, match="SQLite reports: odd"):
        Store(tmp_path / "store.sqlite")


def test_processes_share_one_store(tmp_path: Path) -> None:
    path = tmp_path / "made" / "store.sqlite"
    names = ["one", "two", "three", "four"]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITING, path, name],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for writer in writers:  # all are let go at once, so that they meet in making the file
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    problems = [writer.communicate()[1] for writer in writers]
    assert problems == [""] * 4
    with Store(path) as store:
        for number in range(30):
            own = store.get_many(Table.SCORES, [f"{name}-{number}" for name in names])
            assert own == {f"{name}-{number}": number for name in names}
            shared = store.get_many(Table.SCORES, [f"shared-{number}-{part}" for part in range(5)])
            assert len(shared) == 5
            assert len(set(shared.values())) == 1, "one writer's batch, whole"
