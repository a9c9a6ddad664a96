"""Samples as JSON lines: readable UTF-8, one object a line, read back equal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.data.files import write_whole
from harness.exceptions import FileProblem
from harness.records import Message, Sample


def json_line(value: object) -> bytes:
    """JSON of one line as UTF-8; escaped to ASCII where it holds half of a surrogate pair."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def sample_to_json(sample: Sample) -> dict[str, Any]:
    """Turn a sample into plain data; empty optional fields are left out."""
    value: dict[str, Any] = {"id": sample.id, "input": sample.input, "target": sample.target}
    if sample.context:
        value["context"] = sample.context
    if sample.history:
        value["history"] = [{"role": turn.role, "content": turn.content} for turn in sample.history]
    if sample.choices:
        value["choices"] = list(sample.choices)
    if sample.metadata:
        value["metadata"] = dict(sample.metadata)
    return value


def sample_from_json(value: Mapping[str, Any]) -> Sample:
    """Undo `sample_to_json`; KeyError, TypeError or ValueError where the data has another form."""
    target = value["target"]
    return Sample(
        id=_text(value["id"]),
        input=_text(value["input"]),
        target=None if target is None else _text(target),
        context=_text(value.get("context", "")),
        history=tuple(Message(_text(t["role"]), _text(t["content"])) for t in value.get("history", ())),
        choices=tuple(_text(choice) for choice in value.get("choices", ())),
        metadata={_text(key): _text(entry) for key, entry in dict(value.get("metadata", {})).items()},
    )


def write_samples(path: Path | str, samples: Sequence[Sample]) -> None:
    """Write all samples, whole or not at all."""
    write_whole(Path(path), b"".join(json_line(sample_to_json(sample)) + b"\n" for sample in samples))


def read_samples(path: Path | str) -> list[Sample]:
    """Read samples that `write_samples` wrote; FileProblem names the line that is none."""
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as problem:
        raise FileProblem(path, f"this file cannot be read ({problem.strerror}).") from problem
    samples = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            samples.append(sample_from_json(json.loads(line)))
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            wanted = 'an object with at least "id", "input" and "target"'
            raise FileProblem(path, f"this is not a sample ({wanted}).", number) from problem
    return samples


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
