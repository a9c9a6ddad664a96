"""Options of data preparation as typed on the command line, and the data card in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.data.settings import DataSettings
from harness.exceptions import BadValue
from harness.records import DataCard
from harness.tasks.strict import build


def data_settings(
    values: Mapping[str, Any], split: Mapping[str, float], columns: Sequence[str] | None
) -> DataSettings:
    """Settings from options; sizes of 1 or more become whole numbers of rows."""
    sizes = {
        name: int(size) if size >= 1 and float(size).is_integer() else size for name, size in split.items()
    }
    given = {name: value for name, value in values.items() if value is not None}
    return build(DataSettings, {**given, "split": sizes, "columns": column_mapping(columns)}, where="data")


def column_mapping(pairs: Sequence[str] | None) -> dict[str, str] | None:
    """`["input=question"]` as a mapping; None for none."""
    if not pairs:
        return None
    found = {}
    for pair in pairs:
        field, equals, column = pair.partition("=")
        if not equals or not field or not column:
            raise BadValue("--column", pair, "FIELD=COLUMN, for example input=question")
        found[field] = column
    return found


def describe_card(card: DataCard) -> list[str]:
    """The data card as lines."""
    kept = (
        f"{card.rows:,} rows, {card.kept:,} kept, "
        f"{card.exact_duplicates} exact and {card.near_duplicates} near duplicates removed."
    )
    lines = [kept]
    lines += [f"Skipped, {reason}: {count}." for reason, count in card.skipped.items()]
    lines.append("Split: " + ", ".join(f"{name} {count:,}" for name, count in card.splits.items()) + ".")
    return [*lines, *card.warnings]
