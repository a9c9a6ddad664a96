"""Start-up loads nothing heavy. Times are measured under perf/, never in tests."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "pandas",
    "scipy",
    "altair",
    "numpy",
    "pydantic",
    "rich",
)


def loaded(script: str) -> set[str]:
    """Heavy modules that a fresh Python holds after the script."""
    ask = f"import sys\n{script}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_import_harness_loads_nothing_heavy() -> None:
    assert loaded("import harness") == set()


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["--version"]])
def test_the_general_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded(f"from harness.cli.main import run\nassert run({arguments!r}) == 0") == set()


def test_a_verbs_help_loads_no_deep_learning() -> None:
    script = (
        "from harness.cli.main import VERBS, run\nassert all(run([verb, '--help']) == 0 for verb in VERBS)"
    )
    assert loaded(script) & {"torch", "transformers", "trl", "peft", "datasets", "scipy", "altair"} == set()


def test_the_check_itself_sees_what_is_loaded() -> None:
    assert "numpy" in loaded("import numpy")


def test_names_of_the_package_are_listed_and_unknown_ones_refused() -> None:
    import harness

    assert all(getattr(harness, name) is not None for name in harness.__all__)
    with pytest.raises(AttributeError, match="module 'harness' has no attribute 'loadmodel'"):
        harness.loadmodel  # noqa: B018
