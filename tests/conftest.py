"""What all tests share: no network but the loopback, the real small model, the outside data."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" in os.environ:
    # two workers on two cores: a thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex


def _check(address: Any) -> None:
    if not isinstance(address, tuple):
        return
    host = str(address[0])
    if host == "localhost":
        return
    try:
        inside = ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise OSError(f"tests may not reach the network: {host}")


def _guarded_connect(self: socket.socket, address: Any) -> None:
    _check(address)
    _connect(self, address)


def _guarded_connect_ex(self: socket.socket, address: Any) -> int:
    _check(address)
    return _connect_ex(self, address)


socket.socket.connect = _guarded_connect  # type: ignore[method-assign]
socket.socket.connect_ex = _guarded_connect_ex  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def small_model() -> Path:
    """Folder of the converted default model; `make model` puts it there."""
    given = os.environ.get("HARNESS_TEST_MODEL")
    cache = os.environ.get("HARNESS_CACHE") or str(Path.home() / ".cache" / "checkpoint-harness")
    folder = Path(given) if given else Path(cache) / "models" / "smollm2-135m-q4"
    if not (folder / "model.safetensors").is_file():
        pytest.skip("the small model is not in the cache; run `make model`")
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real benchmark and fine-tuning data that do not ship with the product."""
    given = os.environ.get("HARNESS_DATA_DIR")
    if not given or not Path(given).is_dir():
        pytest.skip("HARNESS_DATA_DIR is not set: the real data is not at hand")
    return Path(given)
