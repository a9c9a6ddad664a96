"""`--set KEY=VALUE` options: values are read as YAML, so that numbers and lists keep their type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.exceptions import BadValue


def key_values(pairs: Sequence[str] | None) -> dict[str, Any]:
    """`["rank=8", "targets=[q_proj]"]` as a mapping."""
    import yaml

    found: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise BadValue("--set", pair, "KEY=VALUE, for example rank=8")
        try:
            found[key] = yaml.safe_load(text)
        except yaml.YAMLError as problem:
            raise BadValue(f"--set {key}", text, "a number, a word or a list such as [a, b]") from problem
    return found
