"""Small data and experiment files that take the whole way through the pipeline in seconds."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TOPICS = (
    "river glacier lantern orchard violin compass harbour meadow telescope bakery saddle curtain anchor beetle "
    "candle dragon engine feather garden hammer island jacket kettle ladder marble needle oyster pencil quarry "
    "rocket saucer timber umbrella valley walnut yogurt zipper basket cellar desert ember fossil goblet hinge "
    "iceberg jungle kernel lagoon mirror nettle"
)


def rows(count: int) -> list[dict[str, str]]:
    """Questions that share no words but the small ones, with short answers."""
    words = TOPICS.split()
    pairs = [f"{a} {b}" for a in words for b in words if a < b]
    chosen = random.Random(3).sample(pairs, count)  # noqa: S311 - the same rows every time
    return [{"question": f"{pair}?", "answer": f"{pair.split()[0]} first."} for pair in chosen]


def write_rows(path: Path, count: int = 40) -> Path:
    """Write `rows(count)` as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(count)), encoding="utf-8")
    return path


def experiment(model: object, **changes: Any) -> dict[str, Any]:
    """An experiment on docs.jsonl that tunes for 6 steps, saves every 2 and answers with 6 tokens."""
    value: dict[str, Any] = {
        "name": "tiny",
        "model": str(model) if isinstance(model, Path) else model,
        "data": {"path": "docs.jsonl", "max_length": 96, "split": {"validation": 4, "test": 12, "seed": 7}},
        "tune": {
            "epochs": 1,
            "batch_size": 4,
            "save_every": 2,
            "learning_rate": 0.01,
            "rank": 2,
            "alpha": 4,
            "dtype": "float32",
        },
        "evaluate": {"max_new_tokens": 6, "dtype": "float32"},
        "metrics": ["rouge", "exact_match", "bleu"],
    }
    return {key: found for key, found in (value | changes).items() if found is not None}


def write_experiment(folder: Path, content: Mapping[str, Any], name: str = "tiny.yaml") -> Path:
    """Write an experiment file (YAML reads JSON) and its data into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "docs.jsonl")
    path = folder / name
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path
