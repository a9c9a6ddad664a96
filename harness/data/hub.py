"""Data sets by their hub name, read with the library `datasets`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

from harness.exceptions import InputError

_NAME = re.compile(
    r"(?P<name>[\w-][\w.-]*(?:/[\w-][\w.-]*)?)(?::(?P<config>[\w.-]+))?(?:@(?P<split>[\w.-]+))?",
)
_FILE_ENDING = re.compile(r"\.(txt|md|xlsx?|ya?ml|xml|gz|zip|zst|arrow|pdf|html?|ndjson|py)$", re.IGNORECASE)


class HubProblem(InputError):
    """A data set cannot be had from the hub."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"{source!r} is neither a file nor a data set that the hub can give ({reason.rstrip('.')})."
        )


def looks_like_hub_name(source: str) -> bool:
    """Tell `name`, `owner/name`, `name:config` and `name@split` from a file name."""
    return _NAME.fullmatch(source) is not None and _FILE_ENDING.search(source) is None


def read_hub(source: str) -> Iterable[Mapping[str, Any]]:
    """Rows of one split ("train" unless `@split` says otherwise); InputError where it cannot be loaded."""
    match = _NAME.fullmatch(source)
    if match is None:
        raise HubProblem(source, "a hub name looks like owner/name, name:config or name@split")
    import datasets

    try:
        found = datasets.load_dataset(match["name"], match["config"], split=match["split"] or "train")
    except (OSError, ValueError, ImportError, RuntimeError, datasets.exceptions.DatasetsError) as problem:
        reason = (str(problem) or type(problem).__name__).splitlines()[0]
        raise HubProblem(source, reason) from problem
    return cast("Iterable[Mapping[str, Any]]", found)
