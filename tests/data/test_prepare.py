import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from support.counters import per_text

from harness.data import DataSettings, SplitSettings, prepare
from harness.data.similarity import pair_shingles, similarity
from harness.exceptions import FileProblem, InputError

Save = Callable[[str, Sequence[Mapping[str, object]]], str]

# fmt: off
WORDS = (
    "gate", "store", "run", "task", "judge", "rubric", "metric",
    "score", "seed", "shard", "match", "rating", "prompt", "adapter",
    "verdict", "estimate", "sample", "target", "answer", "context", "report",
    "chart", "table", "figure", "ledger", "digest", "tokenizer", "checkpoint",
)
# fmt: on
ROWS: list[dict[str, object]] = [
    {"question": f"Define {word}", "answer": f"{word.upper()} it is"} for word in WORDS
]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(name: str, rows: Sequence[Mapping[str, object]]) -> str:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return write


def words(text: str) -> int:
    return len(text.split())


def test_a_card_accounts_for_every_row(save: Save) -> None:
    rows: list[dict[str, object]] = [
        *ROWS,
        {"question": "define GATE", "answer": "gate it is"},
        {"question": "Empty", "answer": " "},
        {"question": "", "answer": "Empty"},
        {
            "question": "How do I write a long enough question about the store of answers?",
            "answer": "So and so.",
        },
        {
            "question": "How do I write a long enough question about the store of all answers?",
            "answer": "So and so.",
        },
    ]
    source = save("a.jsonl", rows)
    steps: list[tuple[int, int]] = []
    settings = DataSettings(source, template="plain", split=SplitSettings(3, 5, seed=1), max_length=12)
    prepared = prepare(settings, per_text(words), lambda _, done, total, __="": steps.append((done, total)))
    card = prepared.card
    assert (card.source, card.columns, card.template, card.seed) == (source, "question/answer", "plain", 1)
    assert card.skipped == {"empty answer": 1, "empty question": 1}
    assert (card.exact_duplicates, card.near_duplicates) == (1, 1)
    assert card.rows == len(rows) == card.kept + sum(card.skipped.values()) + 2
    assert card.splits == {"train": card.kept - 8, "validation": 3, "test": 5}
    assert (len(prepared.train), len(prepared.validation), len(prepared.test)) == tuple(card.splits.values())
    assert card.lengths is not None
    # 28 questions of 2 + 3 words, one of 13 + 3 words
    assert (sum(card.lengths.counts), card.lengths.median, card.lengths.longest) == (29, 5.0, 16)
    assert (card.lengths.cut, card.lengths.cut_tokens, card.lengths.side) == (1, 4, "right")
    first = prepared.train[0]
    assert card.examples[0] == (f"{first.input}\n", first.target)
    assert len(card.examples) == 3
    assert any("1 of 29 rows is longer than 12 tokens" in warning for warning in card.warnings)
    assert any("row 31" in warning for warning in card.warnings) or any("row 30" in w for w in card.warnings)
    assert steps == [(step, 5) for step in range(6)]


def test_the_same_settings_give_the_same_result(save: Save) -> None:
    source = save("a.jsonl", ROWS)
    assert prepare(DataSettings(source)) == prepare(DataSettings(source))
    other = prepare(DataSettings(source, split=SplitSettings(seed=8)))
    assert other.test != prepare(DataSettings(source)).test
    assert other.card.lengths is None


def test_alike_questions_never_straddle_the_split(save: Save) -> None:
    rows = [
        {
            "question": f"How could {word} be put to use in the {style} work of a small team?",
            "answer": f"{word} {n}",
        }
        for word in WORDS
        for n, style in enumerate(("daily", "usual daily"))
    ]
    for seed in range(5):
        prepared = prepare(DataSettings(save("a.jsonl", rows), split=SplitSettings(0.1, 0.2, seed)))
        parts = [prepared.train, prepared.validation, prepared.test]
        subjects = [{sample.input.split()[2] for sample in part} for part in parts]
        assert len(prepared.test) == 11 - 1
        assert not subjects[0] & subjects[1]
        assert not subjects[2] & (subjects[0] | subjects[1])
        assert prepared.card.leaks == ()


def test_a_test_file_of_its_own_is_checked_for_leaks(save: Save) -> None:
    test = [{"question": "define Gate", "answer": "Another."}, {"question": "Unseen one", "answer": ""}]
    test += [{"question": f"Is {word} well known?", "answer": "Yes."} for word in WORDS[:4]]
    settings = DataSettings(save("a.jsonl", ROWS), test_path=save("t.jsonl", test), split=SplitSettings(4, 0))
    prepared = prepare(settings)
    assert [sample.id for sample in prepared.test] == [f"test-row-{n}" for n in (1, 3, 4, 5, 6)]
    assert (len(prepared.train), len(prepared.validation)) == (len(ROWS) - 4, 4)
    trained = {sample.id for sample in prepared.train}
    assert prepared.card.leaks == ((("test-row-1", "row-1"),) if "row-1" in trained else ())
    assert prepared.card.rows == len(ROWS) + 6
    assert prepared.card.skipped == {"empty answer": 1}
    assert prepared.card.source == f"{settings.path} + {settings.test_path}"
    assert len(prepared.card.digest) == 64 + 1 + 64
    assert "Only 5 test rows are left. So few rarely decide a comparison." in prepared.card.warnings


def test_leaks_are_reported_in_words(save: Save) -> None:
    settings = DataSettings(
        save("a.jsonl", ROWS), test_path=save("t.jsonl", ROWS[:3]), split=SplitSettings(0, 0)
    )
    prepared = prepare(settings)
    assert prepared.card.leaks == tuple((f"test-row-{n}", f"row-{n}") for n in (1, 2, 3))
    assert any(
        warning.startswith("3 of 3 test questions also stand in") for warning in prepared.card.warnings
    )


def test_limit_takes_the_first_rows(save: Save) -> None:
    card = prepare(DataSettings(save("a.jsonl", ROWS), limit=12)).card
    assert (card.rows, card.kept) == (12, 12)


def test_plain_text_gets_no_template(save: Save) -> None:
    prepared = prepare(DataSettings(save("a.jsonl", [{"text": f"All about {word}"} for word in WORDS])))
    assert prepared.card.columns == "text"
    assert prepared.card.examples[0][0] == ""
    assert any("plain text without questions" in warning for warning in prepared.card.warnings)


def test_a_mapping_is_followed(save: Save) -> None:
    rows: list[dict[str, object]] = [{"Q": word, "A": f"it is {word}"} for word in WORDS]
    prepared = prepare(DataSettings(save("a.jsonl", rows), columns={"input": "Q", "target": "A"}))
    assert prepared.card.columns == "Q/A"
    assert prepared.train[0].target == f"it is {prepared.train[0].input}"


def test_a_template_that_fails_on_a_late_row_fails_here(save: Save) -> None:
    rows = [*ROWS[:-1], {**ROWS[-1], "topic": None}]
    rows = [{"topic": "t", **row} for row in rows]
    with pytest.raises(InputError, match=f"sample 'row-{len(ROWS)}' does not render"):
        prepare(DataSettings(save("a.jsonl", rows), template="{{ metadata.topic }} {{ input }}"))


def test_no_usable_row(save: Save) -> None:
    with pytest.raises(FileProblem, match=r"no row of 2 can be used \(empty answer: 1, empty question: 1\)"):
        prepare(
            DataSettings(save("a.jsonl", [{"question": "q", "answer": ""}, {"question": "", "answer": "a"}]))
        )


def test_no_test_rows_left_after_duplicates_are_removed(save: Save) -> None:
    with pytest.raises(InputError, match="No test rows are left after the split"):
        prepare(DataSettings(save("a.jsonl", [ROWS[0]] * 50)))


def test_importing_this_room_loads_nothing_heavy() -> None:
    code = (
        "import sys, harness.data; "
        "print([m for m in ('torch', 'datasets', 'datasketch', 'pandas', 'scipy', 'jinja2', 'pyarrow') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_real_questions_and_answers() -> None:
    folder = os.environ.get("HARNESS_DATA_DIR")
    if not folder:
        pytest.skip("HARNESS_DATA_DIR is not set")
    started = time.monotonic()
    prepared = prepare(DataSettings(str(Path(folder) / "docs_qa" / "lamini_docs.jsonl")))
    assert time.monotonic() - started < 15
    card = prepared.card
    # Counted with `grep -c '"question": "",'` and by hand.
    assert card.rows == 1400
    assert card.skipped == {"empty question": 6}
    assert card.leaks == ()
    assert len(prepared.test) == 138
    # Oracle: the quadratic comparison over all test x training pairs.
    train = [pair_shingles(sample) for sample in prepared.train]
    for document in map(pair_shingles, prepared.test):
        assert max(similarity(document, other) for other in train) < card.near_duplicate_threshold
