"""The data card's words and its JSON form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.data.columns import MappedRows
from harness.data.split import Split, SplitSettings, wanted_rows
from harness.records import DataCard, LengthHistogram

FEW = 30
"""Test rows below which a comparison is rarely decided."""
_NAMED = 10


def counted(number: int, noun: str) -> str:
    """Write a count with its noun: 1 row, 1,400 rows."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def listed(values: Sequence[object]) -> str:
    """Name the first ten, and how many more there are."""
    text = ", ".join(str(value) for value in values[:_NAMED])
    more = len(values) - _NAMED
    return f"{text} and {more:,} more" if more > 0 else text


def column_warnings(source: str, mapped: MappedRows) -> list[str]:
    """Say what reading left out, and which other reading was possible; a file is named without its folder."""
    source = Path(source).name if Path(source).suffix else source
    warnings = []
    for reason, rows in mapped.skipped.items():
        verb = "has" if len(rows) == 1 else "have"
        left = "It is" if len(rows) == 1 else "They are"
        warnings.append(
            f"{counted(len(rows), 'row')} of {source} {verb} {_with_article(reason)} "
            f"({'row' if len(rows) == 1 else 'rows'} {listed(rows)}). {left} left out."
        )
    if mapped.also_fits:
        others = " and ".join(other.label for other in mapped.also_fits)
        warnings.append(
            f"The columns of {source} also fit {others}. {mapped.columns.label} is used; "
            "a column mapping can say otherwise."
        )
    return warnings


def split_warnings(split: Split, settings: SplitSettings, own_test_file: bool) -> list[str]:
    """Name the sides that came out empty, small, or smaller than asked."""
    warnings = []
    rows = len(split.train) + len(split.validation) + len(split.test)
    asked = {"validation": (settings.validation, split.validation)}
    if not own_test_file:
        asked["test"] = (settings.test, split.test)
    for side, (size, got) in asked.items():
        wanted = wanted_rows(size, rows)
        if size and not got:
            warnings.append(f"No {side} rows are left. A loss on unseen rows cannot be shown.")
        elif len(got) != wanted:
            warnings.append(
                f"{counted(wanted, f'{side} row')} were asked for and {len(got):,} taken. "
                "Rows with alike questions are kept on one side."
            )
    if len(split.test) < FEW:
        verb = "is" if len(split.test) == 1 else "are"
        warnings.append(
            f"Only {counted(len(split.test), 'test row')} {verb} left. So few rarely decide a comparison."
        )
    return warnings


def leak_warnings(leaks: Sequence[tuple[str, str]], tests: int) -> list[str]:
    """Name test questions that were seen in training."""
    if not leaks:
        return []
    stand = "stands" if len(leaks) == 1 else "stand"
    named = listed([test for test, _ in leaks])
    share = f"{len(leaks):,} of {counted(tests, 'test question')}"
    return [f"{share} also {stand} in the training data ({named}). Their scores show memory, not learning."]


def length_warnings(lengths: LengthHistogram | None) -> list[str]:
    """Say what truncation cuts."""
    if lengths is None or not lengths.cut:
        return []
    rows = sum(lengths.counts)
    end = "end of the answer" if lengths.side == "right" else "start of the prompt"
    share = f"{lengths.cut:,} of {counted(rows, 'row')} {'is' if lengths.cut == 1 else 'are'}"
    tokens = counted(lengths.cut_tokens, "token")
    return [f"{share} longer than {lengths.limit:,} tokens. Training cuts off the {end}, {tokens} in all."]


def card_to_json(card: DataCard) -> dict[str, Any]:
    """Turn a card into plain data."""
    return dataclasses.asdict(card)


def card_from_json(value: Mapping[str, Any]) -> DataCard:
    """Undo `card_to_json`; KeyError, TypeError or ValueError where the data has another form."""
    lengths = value["lengths"]
    if lengths is not None:
        lengths = LengthHistogram(
            **{**lengths, "edges": tuple(lengths["edges"]), "counts": tuple(lengths["counts"])}
        )
    return DataCard(
        **{
            **value,
            "lengths": lengths,
            "leaks": _pairs(value["leaks"]),
            "examples": _pairs(value["examples"]),
            "warnings": tuple(value["warnings"]),
        }
    )


def _pairs(values: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((first, second) for first, second in values)


def _with_article(reason: str) -> str:
    if reason.startswith("messages"):
        return reason
    return f"{'an' if reason[0] in 'aeiou' else 'a'} {reason}"
