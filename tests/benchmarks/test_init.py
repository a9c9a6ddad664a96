"""What the package gives, late, and what it says without lm-eval."""

from __future__ import annotations

import subprocess
import sys

import pytest

import harness.benchmarks
from harness.exceptions import MissingExtra


def test_importing_the_package_does_not_load_lm_eval() -> None:
    script = (
        "import sys, harness.benchmarks as b; b.BenchSettings(); assert 'lm_eval' not in sys.modules; b.bench"
    )
    script += "; assert 'lm_eval' in sys.modules; b.HarnessLM"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        harness.benchmarks.nothing  # noqa: B018


def test_without_lm_eval_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: str) -> None:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setattr("importlib.import_module", absent)
    missing = "lm_eval.api"
    with pytest.raises(MissingExtra, match=r"Running benchmarks needs .*\[lm-eval\]"):
        harness.benchmarks.__getattr__("bench")
    missing = "something_else"
    with pytest.raises(ModuleNotFoundError):
        harness.benchmarks.__getattr__("bench")
