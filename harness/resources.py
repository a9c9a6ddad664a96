"""Finds the folders that ship beside the code: `tasks` (definitions, samples) and `reports` (templates).

A wheel installs them inside the package as `_data`; an editable install reads them in place.
"""

from __future__ import annotations

from pathlib import Path

from harness.exceptions import FileProblem

_PACKAGE = Path(__file__).resolve().parent


def resource(*parts: str) -> Path:
    """Path of a shipped file or folder, e.g. `resource("tasks", "demo.yaml")`."""
    for root in (_PACKAGE / "_data", _PACKAGE.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileProblem("/".join(parts), "this file should ship with the product, but is not installed.")
