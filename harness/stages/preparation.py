"""Prepares data once: what an earlier run left in the folder is used again where nothing has changed."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from harness.data.cards import length_warnings
from harness.data.columns import choose_columns
from harness.data.lengths import TokenCounter, length_histogram, token_lengths
from harness.data.loading import load_rows
from harness.data.prepare import prepare
from harness.data.prepared import Prepared, read_prepared, write_card, write_prepared
from harness.data.settings import DataSettings
from harness.data.templates import get_template
from harness.exceptions import FileProblem, InputError
from harness.models.base import Model
from harness.models.digest import digest
from harness.models.hf import HfModel
from harness.progress import Progress, silent
from harness.stages.layout import write_output

_MARKER = "prepared.json"


def prepare_once(data: DataSettings, folder: Path, progress: Progress = silent) -> Prepared:
    """Prepare the data into `folder`, or read what is there from the same files with the same settings.

    Needs no model, so that data that cannot be used is refused before one is fetched.
    """
    key = _key(data)
    if _marker(folder).get("data") == key:
        with suppress(FileProblem):  # someone removed or changed a file: it is made again
            return read_prepared(folder)
    return _prepare(data, folder, key, progress)


def measure_once(data: DataSettings, model: HfModel, folder: Path, progress: Progress = silent) -> Prepared:
    """Add the lengths in tokens of this model to what `prepare_once` left in `folder`."""
    marker = _marker(folder)
    if marker.get("tokens") == model.fingerprint:
        return read_prepared(folder)
    key = marker["data"] or ""
    prepared = read_prepared(folder)
    if prepared.card.lengths is not None:
        # Of another model, or of a run that ended before it said so: the card's warnings speak of them already.
        prepared = _prepare(data, folder, key, silent)
    progress("count tokens", 0, 1)
    samples = (*prepared.train, *prepared.validation, *prepared.test)
    counted = token_lengths(samples, get_template(data.template), model.count_tokens)
    lengths = length_histogram(counted, data.max_length, data.truncation_side)
    warnings = (*prepared.card.warnings, *length_warnings(lengths))
    prepared = replace(prepared, card=replace(prepared.card, lengths=lengths, warnings=warnings))
    write_card(prepared.card, folder)
    _mark(folder, key, model.fingerprint)
    progress("count tokens", 1, 1)
    return prepared


def token_counter(model: Model) -> TokenCounter:
    """Counts the tokens of a model on disk; InputError for one that keeps its tokenizer to itself."""
    if not isinstance(model, HfModel):
        raise InputError(f"The tokens of {model.name!r} cannot be counted: its tokenizer is not at hand.")
    return model.count_tokens


def check_data(data: DataSettings) -> None:
    """Read the data files once, before any other work; raises for what cannot be used."""
    for path in (data.path, data.test_path):
        if path is not None:
            choose_columns(load_rows(path), data.columns)


def _prepare(data: DataSettings, folder: Path, key: str, progress: Progress) -> Prepared:
    prepared = prepare(data, None, progress)
    (folder / _MARKER).unlink(missing_ok=True)
    write_prepared(prepared, folder)
    _mark(folder, key, None)
    return prepared


def _key(data: DataSettings) -> str:
    files = [load_rows(path).digest for path in (data.path, data.test_path) if path is not None]
    return digest({"settings": asdict(data), "files": files})


def _marker(folder: Path) -> dict[str, str | None]:
    """What the folder holds: the data's key, and the fingerprint of the model whose tokens were counted."""
    try:
        return dict(json.loads((folder / _MARKER).read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _mark(folder: Path, key: str, tokens: str | None) -> None:
    content = json.dumps({"data": key, "tokens": tokens}).encode() + b"\n"
    write_output(folder / _MARKER, content, "Preparing the data")
