"""Canonical JSON and its digest: what fingerprints and store keys are made of.

Equal values give equal bytes, whatever the order of a mapping's keys. Numbers that are not finite are written
as NaN, Infinity and -Infinity, which Python and SQLite read back; lone surrogates survive as they are.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: object) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces; a value that JSON cannot hold raises TypeError."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=True, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def from_canonical_json(data: bytes) -> Any:
    """Read back what `canonical_json` wrote; tuples come back as lists."""
    return json.loads(data.decode("utf-8", "surrogatepass"))


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON, as 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
