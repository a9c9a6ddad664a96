from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.samples_file import json_line, read_samples, sample_from_json, sample_to_json, write_samples
from harness.exceptions import FileProblem
from harness.records import Message, Sample

FULL = Sample(
    "row-1",
    "Grüße \u2028 and \x85 line\nends",
    "half \ud800 pair",
    context="c",
    history=(Message("system", "s"), Message("user", "u\t")),
    choices=("x", "y"),
    metadata={"ключ": "значение"},
)


def test_samples_come_back_equal(tmp_path: Path) -> None:
    samples = [FULL, Sample("row-2", ""), Sample("row-3", "q", "")]
    write_samples(tmp_path / "a.jsonl", samples)
    assert read_samples(tmp_path / "a.jsonl") == samples


def test_no_samples(tmp_path: Path) -> None:
    write_samples(tmp_path / "a.jsonl", [])
    assert read_samples(tmp_path / "a.jsonl") == []


TEXT = st.text(st.characters(codec="utf-8"))


@given(
    st.builds(
        Sample,
        TEXT,
        TEXT,
        st.none() | TEXT,
        TEXT,
        st.lists(st.builds(Message, TEXT, TEXT), max_size=2).map(tuple),
        st.lists(TEXT, max_size=2).map(tuple),
        st.dictionaries(TEXT, TEXT, max_size=2),
    )
)
def test_any_sample_survives_its_line(sample: Sample) -> None:
    import json

    line = json_line(sample_to_json(sample))
    assert b"\n" not in line
    assert sample_from_json(json.loads(line)) == sample


def test_lines_are_readable_utf8() -> None:
    assert json_line({"a": "ü"}) == '{"a": "ü"}'.encode()
    assert json_line({"a": "ü\udc00"}) == b'{"a": "\\u00fc\\udc00"}'


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "{}",
        '{"id": "1", "input": "q"}',
        '{"id": 1, "input": "q", "target": "a"}',
        '{"id": "1", "input": "q", "target": 2}',
        '{"id": "1", "input": "q", "target": "a", "history": ["u"]}',
        '{"id": "1", "input": "q", "target": "a", "metadata": {"k": 1}}',
        '{"id": "1", "input": "q", "target": "a", "metadata": 5}',
    ],
)
def test_a_line_that_is_no_sample_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "1", "input": "q", "target": null}\n\n' + line + "\n")
    with pytest.raises(FileProblem, match="line 3: this is not a sample"):
        read_samples(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match=r"cannot be read \(No such file"):
        read_samples(tmp_path / "a.jsonl")
