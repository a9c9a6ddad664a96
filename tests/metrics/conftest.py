"""What several metric tests share: real answers, and the official functions of SQuAD."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from harness.metrics import registry


@pytest.fixture(scope="session")
def real_pairs() -> list[tuple[str, str]]:
    """805 (alpaca-7b, phi-2) answers to the same prompts, the shortest first."""
    folder = os.environ.get("HARNESS_DATA_DIR")
    if folder is None:
        pytest.skip("HARNESS_DATA_DIR is not set: the preference data are not at hand")
    texts = []
    for model in ("alpaca-7b", "phi-2"):
        path = Path(folder) / "preferences" / f"{model}.jsonl"
        rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        texts.append({row["prompt_id"]: row["output"] for row in rows})
    pairs = [(texts[0][key], texts[1][key]) for key in sorted(texts[0].keys() & texts[1].keys())]
    assert len(pairs) > 700
    return sorted(pairs, key=lambda pair: len(pair[0]) + len(pair[1]))


@pytest.fixture(scope="session")
def squad_official() -> ModuleType:
    """The official SQuAD 1.1 functions as lm-eval carries them; by path, since its package loads slowly."""
    package = importlib.util.find_spec("lm_eval")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "tasks" / "qasper" / "metrics.py"
    spec = importlib.util.spec_from_file_location("squad_official", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fresh_registry() -> Iterator[None]:
    """Metrics that a test registers are gone after it."""
    registry.cache_clear()
    yield
    registry.cache_clear()
