"""The tiny random model, on disk and in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.tiny_model import build_adapter, build_model, build_tokenizer, random_model

from harness.models.hf import HfModel, HfSettings


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Models this small only wait for each other's threads."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_adapter(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    return build_adapter(tmp_path_factory.mktemp("adapter"), tiny_folder)


@pytest.fixture(scope="session")
def tiny_llama() -> Any:
    """In memory and shared: tests must not change it."""
    return random_model()


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return build_tokenizer()


@pytest.fixture
def open_hf() -> Callable[..., HfModel]:
    """Opens a folder in float32 on the processor; each call has a pool of its own unless one is given."""

    def open_folder(folder: Path, adapter: Path | None = None, pool: Any = None, **settings: Any) -> HfModel:
        from harness.models.weights import WeightsPool

        chosen = HfSettings(**{"dtype": "float32", "device": "cpu"} | settings)
        return HfModel("tiny", folder, adapter, chosen, pool or WeightsPool())

    return open_folder
