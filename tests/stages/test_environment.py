from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest
import torch

from harness.stages import environment as stage


def test_it_says_what_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/some/where/bin/harness", "run", "my file.yaml"])
    found = stage.environment({"split": 7})
    assert found.command == "harness run 'my file.yaml'"
    assert found.python == platform.python_version()
    assert found.threads == torch.get_num_threads()
    assert found.packages["torch"].startswith(torch.__version__.partition("+")[0])
    assert found.seeds == {"split": 7}
    assert found.device.startswith("cpu (")
    assert stage.environment({}, "cuda").device == "cuda"


def test_what_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_PACKAGES", ("torch", "no-such-package"))
    assert list(stage.environment({}).packages) == ["torch"]


def test_the_processor_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert stage._processor() == "riscv64"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "flags: none\n")
    assert stage._processor() == "riscv64"
