"""Which device and number format suit this machine. Imports torch."""

from __future__ import annotations

import os
from pathlib import Path

# Torch asks the kernel for 2 MB pages if this is set before its first allocation: a matrix of weights then needs
# few entries of the processor's page table, which makes scoring on two cores a tenth faster.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

import torch

from harness.exceptions import BadValue

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(device: str) -> str:
    """Turn "auto" into "cuda", "mps" or "cpu"; anything else must be a device torch knows."""
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.device(device)
    except RuntimeError as problem:
        raise BadValue("device", device, '"auto", "cpu", "cuda", "cuda:N" or "mps"') from problem
    return device


def resolve_dtype(dtype: str, device: str) -> str:
    """Turn "auto" into "bfloat16" where the processor multiplies it natively, else "float32"."""
    if dtype != "auto":
        if dtype not in DTYPES:
            raise BadValue("dtype", dtype, f'"auto" or one of {", ".join(DTYPES)}')
        return dtype
    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if device == "cpu" and cpu_has_bfloat16() else "float32"


def cpu_has_bfloat16() -> bool:
    """Whether the processor has bfloat16 dot products (AVX-512-BF16, AMX, or Arm's BF16)."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags.split())
