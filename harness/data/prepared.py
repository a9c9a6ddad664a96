"""The result of preparation, and the folder that holds it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from harness.data.cards import card_from_json, card_to_json
from harness.data.files import ready_folder, write_whole
from harness.data.samples_file import read_samples, write_samples
from harness.exceptions import FileProblem
from harness.records import DataCard, Sample

SIDES = ("train", "validation", "test")
CARD = "card.json"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Samples ready for training and evaluation, with their data card."""

    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]
    card: DataCard


def write_prepared(prepared: Prepared, folder: Path | str) -> None:
    """Write train.jsonl, validation.jsonl, test.jsonl and, last, card.json; each whole or not at all.

    Raises FileProblem where the folder cannot be written and StageFailed where the disk is full.
    """
    folder = Path(folder)
    ready_folder(folder)
    # A folder without its card is unfinished: an old card must not stand beside new samples.
    (folder / CARD).unlink(missing_ok=True)
    for side in SIDES:
        write_samples(folder / f"{side}.jsonl", getattr(prepared, side))
    write_card(prepared.card, folder)


def write_card(card: DataCard, folder: Path) -> None:
    """Replace the card of a folder of prepared data, whole or not at all."""
    write_whole(folder / CARD, json.dumps(card_to_json(card), indent=2).encode() + b"\n")


def read_prepared(folder: Path | str) -> Prepared:
    """Read what `write_prepared` wrote; FileProblem where the folder is not a finished one."""
    folder = Path(folder)
    path = folder / CARD
    try:
        card = card_from_json(json.loads(path.read_bytes()))
    except OSError as problem:
        raise FileProblem(folder, "this is not a folder of prepared data; it has no card.json.") from problem
    except (KeyError, TypeError, ValueError) as problem:
        raise FileProblem(path, "this is not a data card; prepare the data again.") from problem
    train, validation, test = (tuple(read_samples(folder / f"{side}.jsonl")) for side in SIDES)
    return Prepared(train, validation, test, card)
