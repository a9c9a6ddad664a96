"""From YAML to frozen dataclasses: unknown keys, wrong types and contradictions are refused with their path."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
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
    except UnicodeDecodeError as problem:
        raise FileProblem(path, "this is not text in UTF-8.") from problem
    except OSError as problem:
        raise FileProblem(path, f"it cannot be read ({problem.strerror}).") from problem
    try:
        _check_repeats(path, yaml.compose(text, yaml.SafeLoader))
        value = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        reason = getattr(problem, "problem", None) or "a character that YAML does not allow"
        raise FileProblem(path, f"this is not YAML: {reason}.", mark.line + 1 if mark else None) from problem
    if not isinstance(value, dict):
        raise FileProblem(path, "it must hold keys and values, such as `name: docs-qa`.")
    return value


def _check_repeats(path: Path, node: Any) -> None:
    """Refuse a key that stands twice in one mapping: YAML readers silently keep the last."""
    from yaml import MappingNode, ScalarNode, SequenceNode

    if isinstance(node, SequenceNode):
        for inner in node.value:
            _check_repeats(path, inner)
    if not isinstance(node, MappingNode):
        return
    seen: set[str] = set()
    for key, inner in node.value:
        if isinstance(key, ScalarNode):
            if key.value in seen:
                raise FileProblem(path, f"the key {key.value!r} stands here twice.", key.start_mark.line + 1)
            seen.add(key.value)
        _check_repeats(path, inner)


def build(kind: type[T], value: Mapping[str, Any], where: str = "") -> T:
    """Make a dataclass from plain data. `where` is the path of keys that leads here, for the sentences."""
    from pydantic import TypeAdapter, ValidationError

    _check_keys(kind, value, where)
    try:
        return TypeAdapter(kind).validate_python(dict(value))
    except ValidationError as problem:
        found = [(_path(error["loc"], where), error) for error in problem.errors(include_url=False)]
        path, first = found[0]
        if first["type"] == "missing":
            raise BadValue(path, None, "given") from problem
        # a union is tried member by member, and each says what it would have taken
        wanted = list(dict.fromkeys(_wanted(error) for other, error in found if other == path))
        if _PLAIN["float"] in wanted and _PLAIN["int"] in wanted:
            wanted.remove(_PLAIN["int"])
        raise BadValue(path, first["input"], " or ".join(wanted)) from problem


_PLAIN = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "keys with values",
    "mapping": "keys with values",
    "dataclass": "keys with values",
}
"""What pydantic's kinds of errors ask for, in a YAML file's words."""


def _wanted(error: Any) -> str:
    kind = str(error["type"]).partition("_")[0]
    return _PLAIN.get(kind) or str(error["msg"]).removeprefix("Input should be ")


def _path(parts: Iterable[object], where: str) -> str:
    keys = [str(part) for part in parts if not _is_type_tag(part)]
    return ".".join([*([where] if where else []), *keys]) or "the file"


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
        members = _members(hints[key])
        if isinstance(inner, bool) and bool not in members and {int, float} & set(members):
            raise BadValue(path, inner, "a whole number" if int in members else "a number")
        for member in members:
            _check_keys(member, inner, path)


def _members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
