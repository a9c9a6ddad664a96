"""From YAML to frozen dataclasses: unknown keys, wrong types and contradictions are refused with their path."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from harness.exceptions import BadValue, FileProblem, UnknownName

T = TypeVar("T")


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; the line of a syntax error is named."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as problem:
        raise FileProblem(path, "there is no such file.") from problem
    except IsADirectoryError as problem:
        raise FileProblem(path, "this is a folder, not a YAML file.") from problem
    except (OSError, UnicodeDecodeError) as problem:
        raise FileProblem(path, f"it cannot be read ({problem}).") from problem
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        reason = getattr(problem, "problem", None) or "a character that YAML does not allow"
        raise FileProblem(path, f"this is not YAML: {reason}.", mark.line + 1 if mark else None) from problem
    if not isinstance(value, dict):
        raise FileProblem(path, "it must hold keys and values, such as `name: docs-qa`.")
    return value


def build(kind: type[T], value: Mapping[str, Any], where: str = "") -> T:
    """Make a dataclass from plain data. `where` is the path of keys that leads here, for the sentences."""
    from pydantic import TypeAdapter, ValidationError

    _check_keys(kind, value, where)
    try:
        return TypeAdapter(kind).validate_python(dict(value))
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        keys = [str(part) for part in first["loc"] if not _is_type_tag(part)]
        path = ".".join([*([where] if where else []), *keys]) or "the file"
        if first["type"] == "missing":
            raise BadValue(path, None, "given") from problem
        wanted = str(first["msg"]).removeprefix("Input should be ")
        raise BadValue(path, first["input"], wanted) from problem


def _is_type_tag(part: object) -> bool:
    """Pydantic adds the member of a union it tried to the path; a user never wrote that."""
    return isinstance(part, str) and (not part.isidentifier() or part in {"str", "int", "float", "bool"})


def _check_keys(kind: Any, value: Any, where: str) -> None:
    if not is_dataclass(kind) or not isinstance(value, Mapping):
        return
    hints = get_type_hints(kind)
    allowed = [field.name for field in fields(kind)]
    for key, inner in value.items():
        path = f"{where}.{key}" if where else str(key)
        if key not in allowed:
            raise UnknownName(f"key at {path!r}:" if where else "key", str(key), allowed)
        for member in _members(hints[key]):
            _check_keys(member, inner, path)


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
