from __future__ import annotations

from harness.store import NoStore, Storage, Table


def test_no_store_forgets_everything() -> None:
    with NoStore() as store:
        contract: Storage = store
        assert contract.put_many(Table.RESPONSES, {"a": 1, "b": 2}) == 2
        assert contract.get_many(Table.RESPONSES, ["a", "b"]) == {}


def test_the_tables() -> None:
    assert [str(table) for table in Table] == ["responses", "scores", "judgments", "runs"]
