from __future__ import annotations

from pathlib import Path

import pytest

from harness.checkpoints.fetch import main


def test_prints_where_each_model_lies(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tiny_folder)]) == 0
    assert capsys.readouterr() == (f"{tiny_folder}: {tiny_folder}\n", "")


def test_stops_at_the_first_that_cannot_be_had(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nothing-like-it", str(tiny_folder)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "harness: Unknown model 'nothing-like-it'. Allowed: smollm2-135m, smollm2-135m-q4.\n"
