"""Turns rows into samples: recognises the usual column sets or follows the user's mapping."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.data.loading import LoadedRows, Row
from harness.exceptions import BadValue, FileProblem, UnknownName
from harness.records import Message, Sample

FIELDS = ("input", "target", "context")
"""Sample fields that a mapping may name."""
ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class ColumnSet:
    """Which column fills which field of a sample; "" where the set has no such column."""

    target: str
    input: str = ""
    context: str = ""
    messages: bool = False
    """`target` is a column of turns, which hold everything."""

    @property
    def used(self) -> tuple[str, ...]:
        """Columns that are read, in reading order."""
        return tuple(column for column in (self.input, self.context, self.target) if column)

    @property
    def label(self) -> str:
        """For the data card: "question/answer"."""
        return "/".join(self.used)


COLUMN_SETS = (
    ColumnSet(input="question", target="answer"),
    ColumnSet(input="instruction", context="input", target="output"),
    ColumnSet(input="instruction", context="input", target="response"),
    ColumnSet(input="instruction", target="output"),
    ColumnSet(input="instruction", target="response"),
    ColumnSet(input="input", target="output"),
    ColumnSet(input="prompt", target="completion"),
    ColumnSet(target="messages", messages=True),
    ColumnSet(target="text"),
)
"""Recognised sets; the first whose columns are all there is used."""


@dataclass(frozen=True, slots=True)
class MappedRows:
    """Samples, and the row numbers of what was left out, by reason."""

    columns: ColumnSet
    samples: tuple[Sample, ...]
    skipped: Mapping[str, tuple[int, ...]]
    also_fits: tuple[ColumnSet, ...] = ()
    """Other recognised sets, on other columns, that were not used."""

    @property
    def skipped_counts(self) -> dict[str, int]:
        """How many rows were left out, by reason."""
        return {reason: len(rows) for reason, rows in self.skipped.items()}

    def check_usable(self, source: str) -> None:
        """Raise FileProblem where every row was left out."""
        if not self.samples:
            reasons = ", ".join(f"{reason}: {number:,}" for reason, number in self.skipped_counts.items())
            rows = sum(self.skipped_counts.values())
            raise FileProblem(source, f"no row of {rows:,} can be used ({reasons}).")


class UnknownColumns(FileProblem):
    """No recognised column set fits, and no mapping was given."""

    def __init__(self, source: str, columns: Sequence[str]) -> None:
        known = ", ".join(dict.fromkeys(column_set.label for column_set in COLUMN_SETS))
        super().__init__(
            source,
            f"the columns {', '.join(map(repr, columns))} are not a known set ({known}); "
            "say which are which, e.g. columns: {input: COLUMN, target: COLUMN}.",
        )


class _Skip(Exception):
    """A row cannot become a sample and is counted; the message is the reason."""


def check_mapping(mapping: Mapping[str, str]) -> None:
    """Refuse unknown fields, a mapping without a target, and anything but column names."""
    for field, column in mapping.items():
        if field not in FIELDS:
            raise UnknownName("column mapping key", str(field), FIELDS)
        if not isinstance(column, str) or not column:
            raise BadValue(f"columns.{field}", column, "the name of a column")
    if "target" not in mapping:
        raise BadValue("columns", dict(mapping), "a mapping that names the target column")


def choose_columns(loaded: LoadedRows, mapping: Mapping[str, str] | None = None) -> ColumnSet:
    """Give the column set of these rows: the mapping's, or the first recognised one.

    Recognition ignores case and blanks around names. Raises UnknownName for a mapped column that is not there
    and UnknownColumns where nothing fits.
    """
    if mapping is not None:
        check_mapping(mapping)
        for column in mapping.values():
            if column not in loaded.columns:
                raise UnknownName(f"column of {loaded.source}", column, loaded.columns)
        return ColumnSet(mapping["target"], mapping.get("input", ""), mapping.get("context", ""))
    fitting = _fitting(loaded)
    if not fitting:
        raise UnknownColumns(loaded.source, loaded.columns)
    return fitting[0]


def map_rows(
    loaded: LoadedRows, mapping: Mapping[str, str] | None = None, row_prefix: str = "row"
) -> MappedRows:
    """Turn all usable rows into samples; rows with an empty question or answer are skipped and counted.

    Ids are the row's own `id` where every sample has one and none repeats, else `row-12`.
    """
    columns = choose_columns(loaded, mapping)
    samples: list[Sample] = []
    skipped: dict[str, list[int]] = {}
    read = _from_messages if columns.messages else _from_columns
    for row in loaded.rows:
        try:
            sample = read(row, columns)
            _check_characters(sample)
        except _Skip as reason:
            skipped.setdefault(str(reason), []).append(row.number)
        else:
            metadata = _metadata(row, columns)
            samples.append(replace(sample, id=f"{row_prefix}-{row.number}", metadata=metadata))
    used = set(columns.used)
    others = () if mapping is not None else tuple(s for s in _fitting(loaded) if used.isdisjoint(s.used))
    return MappedRows(
        columns,
        _with_own_ids(samples),
        {reason: tuple(rows) for reason, rows in skipped.items()},
        others,
    )


def _fitting(loaded: LoadedRows) -> list[ColumnSet]:
    names = {column.strip().casefold(): column for column in reversed(loaded.columns)} | {"": ""}
    return [
        ColumnSet(names[s.target], names[s.input], names[s.context], s.messages)
        for s in COLUMN_SETS
        if all(column in names for column in s.used)
    ]


def _from_columns(row: Row, columns: ColumnSet) -> Sample:
    question, answer = row.values.get(columns.input), row.values.get(columns.target)
    if isinstance(question, list) and isinstance(answer, list):
        return _conversation([*question, *answer])
    context = _cell(row.values.get(columns.context), "context") if columns.context else ""
    text = _cell(question, "question") if columns.input else ""
    if columns.input and not text.strip():
        raise _Skip("empty question")
    target = _cell(answer, "answer")
    if not target.strip():
        raise _Skip("empty answer")
    return Sample("", text, target, context)


def _from_messages(row: Row, columns: ColumnSet) -> Sample:
    turns = row.values.get(columns.target)
    if isinstance(turns, str):
        # CSV and TSV can hold turns only as JSON text.
        try:
            turns = json.loads(turns)
        except ValueError:
            turns = None
    if not isinstance(turns, list):
        raise _Skip("messages that are not a list of turns")
    return _conversation(turns)


def _conversation(turns: Sequence[Any]) -> Sample:
    messages = [_message(turn) for turn in turns]
    answers = [place for place, message in enumerate(messages) if message.role == "assistant"]
    if not answers:
        raise _Skip("messages without an answer")
    last = answers[-1]
    if last == 0 or messages[last - 1].role != "user":
        raise _Skip("messages without a question before the answer")
    question, answer = messages[last - 1].content, messages[last].content
    if not question.strip():
        raise _Skip("empty question")
    if not answer.strip():
        raise _Skip("empty answer")
    return Sample("", question, answer, history=tuple(messages[: last - 1]))


def _message(turn: Any) -> Message:
    if not isinstance(turn, Mapping) or turn.get("role") not in ROLES:
        raise _Skip("messages with a turn that is not system, user or assistant")
    content = turn.get("content")
    if content is not None and not isinstance(content, str):
        raise _Skip("messages with a turn that is not text")
    return Message(turn["role"], content or "")


def _cell(value: Any, what: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    text = _scalar(value)
    if text is None:
        raise _Skip(f"{what} that is not text")
    return text


def _scalar(value: Any) -> str | None:
    """Text of a scalar as JSON writes it, None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return None


def _check_characters(sample: Sample) -> None:
    texts = (sample.input, sample.target or "", sample.context, *(turn.content for turn in sample.history))
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair: no tokenizer takes it.
        raise _Skip("broken character (half of a surrogate pair)") from None


def _metadata(row: Row, columns: ColumnSet) -> dict[str, str]:
    cells = ((key, _cell_or_none(value)) for key, value in row.values.items() if key not in columns.used)
    return {key: text for key, text in cells if text is not None}


def _cell_or_none(value: Any) -> str | None:
    return None if isinstance(value, float) and math.isnan(value) else _scalar(value)


def _with_own_ids(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    own = [sample.metadata.get("id", "").strip() for sample in samples]
    if not all(own) or max(Counter(own).values(), default=0) > 1:
        return tuple(samples)
    return tuple(
        replace(sample, id=name, metadata={k: v for k, v in sample.metadata.items() if k != "id"})
        for sample, name in zip(samples, own, strict=True)
    )
