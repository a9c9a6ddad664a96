from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.exceptions import BadValue
from harness.models import processor
from harness.models.processor import cpu_has_bfloat16, resolve_device, resolve_dtype


def set_machine(
    monkeypatch: pytest.MonkeyPatch, *, cuda: bool = False, mps: bool = False, flags: str = ""
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: "ampere" in flags)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(Path, "read_text", lambda *_args, **_kwargs: f"flags\t: sse4_2 {flags} avx2\n")


@pytest.mark.parametrize(
    ("cuda", "mps", "device"), [(True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_the_accelerator_that_is_there(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, device: str
) -> None:
    set_machine(monkeypatch, cuda=cuda, mps=mps)
    assert resolve_device("auto") == device


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "mps"])
def test_a_named_device_is_kept(device: str) -> None:
    assert resolve_device(device) == device


def test_a_device_torch_does_not_know_is_refused() -> None:
    with pytest.raises(BadValue, match=r"device is 'gpu', but must be \"auto\", \"cpu\", \"cuda\""):
        resolve_device("gpu")


@pytest.mark.parametrize(
    ("device", "flags", "dtype"),
    [
        ("cpu", "avx512_bf16", "bfloat16"),
        ("cpu", "amx_bf16", "bfloat16"),
        ("cpu", "bf16", "bfloat16"),  # Arm
        ("cpu", "avx512f", "float32"),
        ("cuda", "ampere", "bfloat16"),
        ("cuda:1", "turing", "float32"),
        ("mps", "bf16", "float32"),
    ],
)
def test_auto_takes_bfloat16_only_where_it_is_fast(
    monkeypatch: pytest.MonkeyPatch, device: str, flags: str, dtype: str
) -> None:
    set_machine(monkeypatch, flags=flags)
    assert resolve_dtype("auto", device) == dtype


def test_a_named_dtype_is_kept_and_an_unknown_one_refused() -> None:
    assert resolve_dtype("float16", "cpu") == "float16"
    with pytest.raises(BadValue, match=r"dtype is 'int8', but must be \"auto\" or one of float32"):
        resolve_dtype("int8", "cpu")


def test_without_proc_the_processor_is_taken_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_args: object, **_kwargs: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert not cpu_has_bfloat16()


def test_every_name_is_torch_s_own() -> None:
    assert {name: getattr(torch, name) for name in processor.DTYPES} == processor.DTYPES
