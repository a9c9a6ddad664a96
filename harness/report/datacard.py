"""The data card: what is in the data and what preparation did to it."""

from __future__ import annotations

from itertools import pairwise

from harness.records import DataCard, LengthHistogram
from harness.report import words
from harness.report.figures import Bars, Table
from harness.report.plots import ticks
from harness.report.subject import Subject
from harness.report.views import DataView, Fact
from harness.wording import numbers
from harness.wording.numbers import count, plural
from harness.wording.text import redact

_SHOWN_LEAKS = 10


def data_view(subject: Subject) -> DataView | None:
    """Summarise the data card, or None where no data was prepared."""
    card = subject.result.data
    if card is None:
        return None
    leaked = len({test for test, _ in card.leaks})
    return DataView(
        finding=_finding(card, leaked),
        lede=_lede(card),
        flow=_flow(card),
        splits=_splits(card),
        facts=_facts(card),
        leaks=tuple(
            (words.label(test, 60), words.label(other, 60)) for test, other in card.leaks[:_SHOWN_LEAKS]
        ),
        leaks_note=_leaks_note(card, leaked),
        lengths=_lengths(card.lengths) if card.lengths is not None else None,
        examples=card.examples,
        warnings=tuple(redact(warning) for warning in card.warnings),
    )


def _finding(card: DataCard, leaked: int) -> str:
    if leaked:
        return f"{plural(leaked, 'test question')} also {'stands' if leaked == 1 else 'stand'} in the training data"
    if card.kept == card.rows:
        return f"All {plural(card.rows, 'row')} were kept; no test question stands in the training data"
    return f"{count(card.kept)} of {plural(card.rows, 'row')} were kept; no test question stands in the training data"


def _lede(card: DataCard) -> str:
    parts = [f"{count(number)} {words.split(name)}" for name, number in card.splits.items()]
    return (
        f"{words.listed(parts)}; split with seed {card.seed}." if parts else f"Not split; seed {card.seed}."
    )


def _flow(card: DataCard) -> Table:
    """From the rows of the file to the rows kept."""
    rows = [("Rows in the file", count(card.rows))]
    rows += [
        (f"Skipped: {words.label(reason, 60)}", _minus(number)) for reason, number in card.skipped.items()
    ]
    rows += [
        ("Exact duplicates", _minus(card.exact_duplicates)),
        (f"Near duplicates, similarity from {card.near_duplicate_threshold:g}", _minus(card.near_duplicates)),
        ("Kept", count(card.kept)),
    ]
    return Table(("Step", "Rows"), tuple(rows))


def _minus(number: int) -> str:
    return f"{numbers.MINUS}{count(number)}" if number else "0"


def _splits(card: DataCard) -> Table:
    rows = tuple(
        (
            words.split(name),
            count(number),
            f"{numbers.percent(number / card.kept if card.kept else None)}%",
        )
        for name, number in card.splits.items()
    )
    return Table(("Split", "Rows", "Share"), rows)


def _facts(card: DataCard) -> tuple[Fact, ...]:
    return (
        Fact("Source", redact(card.source), numbers.short_digest(card.digest)),
        Fact("Columns", words.label(card.columns)),
        Fact("Template", words.label(card.template, 200)),
    )


def _leaks_note(card: DataCard, leaked: int) -> str:
    if not leaked:
        return ""
    more = len(card.leaks) - _SHOWN_LEAKS
    return f"and {plural(more, 'more pair')}" if more > 0 else ""


def _lengths(lengths: LengthHistogram) -> Bars:
    """Tokens of prompt plus answer; bars of equal width, the limit dotted."""
    edges, counts = lengths.edges, lengths.counts
    names = tuple(f"{count(low)} to {count(high - 1)}" for low, high in pairwise(edges))
    total = sum(counts)
    cut = (
        f"{count(lengths.cut)} of {plural(total, 'sample')} are longer and lose {plural(lengths.cut_tokens, 'token')} "
        f"on the {lengths.side}."
        if lengths.cut
        else "Nothing is cut off."
    )
    rule = _position(lengths.limit, edges)
    return Bars(
        caption="Tokens of prompt and answer",
        unit=f"median {numbers.significant(lengths.median, 1)}, longest {count(lengths.longest)}",
        title="Samples by length in tokens",
        desc=f"Median {numbers.significant(lengths.median, 1)}, longest {count(lengths.longest)} tokens. "
        f"The limit is {count(lengths.limit)}. {cut}",
        labels=names,
        counts=tuple(counts),
        ticks=tuple(
            (place, f"{value:,.0f}")
            for value in (ticks(edges[0], edges[-1], 5) if len(edges) > 1 else ())
            if (place := _position(value, edges)) is not None
        ),
        foot="tokens",
        rule=rule,
        rule_text=f"limit {count(lengths.limit)}: {count(lengths.cut)} cut" if rule is not None else "",
    )


def _position(value: float, edges: tuple[int, ...]) -> float | None:
    """Where a value lies among the edges, in bars from the left; None outside."""
    for index, (low, high) in enumerate(pairwise(edges)):
        if low <= value <= high and high > low:
            return index + (value - low) / (high - low)
    return None
