"""`kill -9` in the middle of work, with real processes.

The pattern, with the fixtures of conftest.py: a child prints a line for each thing it holds to be safe; it is
killed at no particular moment; then this process looks at what is left and finishes the work.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from harness.models.base import Decoding
from harness.models.scripted import ScriptedModel
from harness.store import NoStore, Store, Table, answer

Killed = Callable[..., list[str]]

STORING = """
import sys
from harness.store import Store, Table
store, turn = Store(sys.argv[1]), sys.argv[2]
print("open", flush=True)
for number in range(100_000):
    batch = {f"{turn}-{number}-{part}": {"text": f"{number} " * 400, "part": part} for part in range(24)}
    store.put_many(Table.RESPONSES, batch)
    print(number, flush=True)
"""

ANSWERING = """
import sys
from pathlib import Path
from harness.models.base import Decoding
from harness.models.scripted import ScriptedModel
from harness.store import Store, answer
model = ScriptedModel(default="an answer", batch_size=5, delay=0.03)
prompts = [f"question {number}" for number in range(1000)]
def progress(stage, done, total, note=""):
    print(done, flush=True)
with Store.open(Path(sys.argv[1])) as store:
    answer(model, prompts, Decoding(), store, progress)
"""


def test_every_acknowledged_batch_is_there_and_none_by_half(tmp_path: Path, killed_after: Killed) -> None:
    path = tmp_path / "store.sqlite"
    promised: list[str] = []
    for turn, lines in enumerate((1, 2, 4, 9, 6, 3, 5)):
        told = killed_after(STORING, lines, path, turn, wait=0.0017 * turn)
        acknowledged = [int(line) for line in told[1:]]
        with Store(path) as store:
            following = max(acknowledged, default=-1) + 1
            for number in range(following + 2):
                keys = [f"{turn}-{number}-{part}" for part in range(24)]
                found = store.get_many(Table.RESPONSES, keys)
                assert len(found) in ({24} if number < following else {0, 24})
                assert all(
                    found[key] == {"text": f"{number} " * 400, "part": int(key[-2:].lstrip("-"))}
                    for key in found
                )
            assert store.get_many(Table.RESPONSES, [f"{turn}-{following + 1}-0"]) == {}
            promised += [f"{turn}-{number}-0" for number in acknowledged]
            assert len(store.get_many(Table.RESPONSES, promised)) == len(promised) >= lines - 1


def test_a_killed_run_goes_on_with_the_next_batch_and_ends_the_same(
    tmp_path: Path, killed_after: Killed
) -> None:
    prompts = [f"question {number}" for number in range(1000)]
    done = int(killed_after(ANSWERING, 8, tmp_path)[-1])
    assert 35 <= done < 1000
    uninterrupted = answer(ScriptedModel(default="an answer", batch_size=5), prompts, Decoding(), NoStore())
    model = ScriptedModel(default="an answer", batch_size=5)
    with Store.open(tmp_path) as store:
        resumed = answer(model, prompts, Decoding(), store)
    assert resumed.generations == uninterrupted.generations
    # At most the batch under way at the kill was finished without being told of.
    assert resumed.reused in {done, done + 5}
    assert resumed.computed == 1000 - resumed.reused
    assert model.batches == [tuple(range(i, i + 5)) for i in range(resumed.reused, 1000, 5)]


def test_a_kill_before_anything_is_stored_leaves_a_store_that_opens(
    tmp_path: Path, killed_after: Killed
) -> None:
    script = "print('here', flush=True)\n" + STORING
    for turn in range(5):
        killed_after(script, 1, tmp_path / f"{turn}.sqlite", turn)
        with Store(tmp_path / f"{turn}.sqlite") as store:
            store.put_many(Table.RUNS, {"k": json.loads("[1]")})
            assert store.get_many(Table.RUNS, ["k"]) == {"k": [1]}
