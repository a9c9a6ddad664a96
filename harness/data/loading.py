"""Reads data files into numbered rows. What the columns mean is the business of `columns`."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.data.hub import looks_like_hub_name, read_hub
from harness.exceptions import FileProblem, InputError, nearest

FORMATS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
_ALLOWED = "allowed are .jsonl, .json, .csv, .tsv, .parquet, or the name of a hub data set"
_LONGEST_CELL = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it was read; `number` counts rows and `line` counts lines of the file, both from 1."""

    number: int
    line: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LoadedRows:
    """All rows of one source."""

    source: str
    digest: str
    """SHA-256 of the file's bytes; of the canonical JSON rows for a hub data set."""
    columns: tuple[str, ...]
    """Every column that occurs, in order of first appearance."""
    rows: tuple[Row, ...]


def load_rows(source: str) -> LoadedRows:
    """Read a file (by its ending) or a hub data set (`name`, `name:config`, `name@split`).

    Raises FileProblem, with the line where there is one, or InputError; both are one sentence.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        raise FileProblem(source, f"this is a folder, but a data file is needed; {_ALLOWED}.")
    suffix = path.suffix.lower()
    if not path.exists() and suffix not in FORMATS and looks_like_hub_name(source):
        return _hub_rows(source, path)
    if not path.exists():
        raise FileProblem(source, f"this file does not exist.{_near_file(path)}")
    if suffix not in FORMATS:
        raise FileProblem(source, f"the ending {suffix!r} is not a known data format; {_ALLOWED}.")
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise FileProblem(source, f"this file cannot be read ({problem.strerror}).") from problem
    if not content.strip():
        raise FileProblem(source, "this file is empty.")
    rows = tuple(
        Row(number, line, values)
        for number, (line, values) in enumerate(_READERS[suffix](path, content), start=1)
    )
    return _loaded(source, hashlib.sha256(content).hexdigest(), rows)


def _loaded(source: str, digest: str, rows: tuple[Row, ...]) -> LoadedRows:
    if not rows:
        raise FileProblem(source, "this data holds no rows.")
    columns = dict.fromkeys(column for row in rows for column in row.values)
    return LoadedRows(source, digest, tuple(columns), rows)


def _hub_rows(source: str, path: Path) -> LoadedRows:
    try:
        found = read_hub(source)
    except InputError as problem:
        hint = _near_file(path)
        raise InputError(f"{problem}{hint}") from problem
    digest = hashlib.sha256()
    rows = []
    for number, values in enumerate(found, start=1):
        line = json.dumps(values, sort_keys=True, default=str)
        digest.update(line.encode() + b"\n")
        rows.append(Row(number, number, values))
    return _loaded(source, digest.hexdigest(), tuple(rows))


def _near_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f" The folder {str(path.parent)!r} does not exist either."
    names = [entry.name for entry in path.parent.iterdir() if entry.suffix.lower() in FORMATS]
    same_stem = [name for name in names if Path(name).stem == path.name]
    near = same_stem[0] if same_stem else nearest(path.name, names)
    return f" Did you mean {str(path.parent / near)!r}?" if near else ""


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        byte = content[problem.start]
        raise FileProblem(path, f"byte 0x{byte:02x} is not UTF-8 text; save it as UTF-8.", line) from problem


def _parse(path: Path, text: str, line: int | None) -> Any:
    """One JSON value; `line` is where the text stands, or None where it is the whole file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as problem:
        place = line or problem.lineno
        if line is None and problem.msg == "Extra data":
            reason = "the file holds several JSON values; rename it to .jsonl if each line is one."
        else:
            reason = f"this is not JSON ({problem.msg}, column {problem.colno})."
        raise FileProblem(path, reason, place) from problem
    except (RecursionError, ValueError) as problem:
        reason = (
            "nested too deeply" if isinstance(problem, RecursionError) else "a number has too many digits"
        )
        raise FileProblem(path, f"this JSON cannot be read: {reason}.", line) from problem


def _object(path: Path, value: Any, line: int | None, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise FileProblem(path, f'{what} is a {kind}, but must be an object {{"column": value}}.', line)
    return value


def _read_jsonl(path: Path, content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in enumerate(_text(path, content).split("\n"), start=1):
        if text.strip():
            yield line, _object(path, _parse(path, text, line), line, "this line")


def _read_json(path: Path, content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    value = _parse(path, _text(path, content), None)
    if isinstance(value, dict):
        lists = {key: entry for key, entry in value.items() if isinstance(entry, list)}
        if len(lists) != 1:
            held = f"lists under {', '.join(map(repr, lists))}" if lists else "no list"
            problem = f"this must be a list of objects, or an object with one such list; it holds {held}."
            raise FileProblem(path, problem)
        (value,) = lists.values()
    if not isinstance(value, list):
        kind = type(value).__name__
        raise FileProblem(
            path, f"this must be a list of objects, or an object with one such list, not {kind}."
        )
    for number, entry in enumerate(value, start=1):
        yield number, _object(path, entry, None, f"row {number}")


def _read_csv(path: Path, content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    text = _text(path, content)
    longest = csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader]
    except csv.Error as problem:
        raise FileProblem(
            path, f"this is not valid {path.suffix[1:]} ({problem}).", reader.line_num
        ) from problem
    finally:
        csv.field_size_limit(longest)
    filled = [(line, cells) for line, cells in lines if any(cell.strip() for cell in cells)]
    header = [name.strip() for name in filled[0][1]]
    _check_header(path, header, filled[0][0], delimiter)
    for line, cells in filled[1:]:
        if len(cells) > len(header):
            excess = f"this row has {len(cells)} cells, but the header names {len(header)} columns."
            raise FileProblem(path, excess, line)
        yield line, dict(zip(header, [*cells, *[None] * (len(header) - len(cells))], strict=True))


def _check_header(path: Path, header: list[str], line: int, delimiter: str) -> None:
    twice = [name for position, name in enumerate(header) if name in header[:position]]
    if twice:
        raise FileProblem(path, f"the header names the column {twice[0]!r} twice.", line)
    others = [other for other in ";\t,|" if other != delimiter and other in header[0]]
    if len(header) == 1 and others:
        problem = f"the header has one column and holds {others[0]!r}; separate columns with {delimiter!r}."
        raise FileProblem(path, problem, line)


def _read_parquet(path: Path, content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    try:
        table = parquet.read_table(io.BytesIO(content))
    except (arrow.ArrowException, OSError) as problem:
        reason = str(problem).splitlines()[0]
        raise FileProblem(path, f"this is not a readable parquet file ({reason}).") from problem
    yield from enumerate(table.to_pylist(), start=1)


_READERS = {
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
}
