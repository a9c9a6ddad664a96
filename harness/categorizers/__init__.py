"""The categorizer family: built-ins and the registry.

`base` is the contract, `runner` applies it to samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from harness.categorizers.base import Categorizer
from harness.categorizers.empty import Empty
from harness.categorizers.runner import Findings, categorize
from harness.categorizers.truncated import Truncated
from harness.exceptions import BadValue, InputError
from harness.registry import Registry

__all__ = ["BUILTINS", "Findings", "categorize", "create_categorizers", "registry"]

BUILTINS: tuple[type[Categorizer], ...] = (Empty, Truncated)

DEFAULT = "default"
"""Stands for all built-ins with their default settings, in place of a list or inside it."""

Spec = str | Mapping[str, Any]
"""`"truncated"` or `{"truncated": {"mid_sentence": True}}`."""


@lru_cache(maxsize=1)
def registry() -> Registry[Categorizer]:
    """Give all categorizers; third-party ones come from the entry points `harness.categorizers`."""
    family: Registry[Categorizer] = Registry("categorizer", "harness.categorizers")
    for builtin in BUILTINS:
        family.add(builtin.name, builtin)
    return family


def create_categorizers(specs: str | Sequence[Spec]) -> list[Categorizer]:
    """Make categorizers from `"default"` or a list of specs, in order.

    `"default"` inside a list adds the built-ins that the list does not name itself, so that one of them can
    have other settings. The same one twice is refused, as is any bad setting.
    """
    if specs == DEFAULT:
        specs = [DEFAULT]
    if isinstance(specs, (str, Mapping)):
        raise BadValue("categorizers", specs, 'a list of names or {name: {setting: value}}, or "default"')
    named = [registry().create(spec) for spec in specs if spec != DEFAULT]
    names = [made.name for made in named]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"The categorizer {name!r} is named twice; leave one of them out.")
    if DEFAULT not in specs:
        return named
    return [registry().create(b.name) for b in BUILTINS if b.name not in names] + named
