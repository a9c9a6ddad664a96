from __future__ import annotations

import shutil
from pathlib import Path

import datasets
import pytest
import transformers

from harness.exceptions import FileProblem
from harness.tuning.loading import load_tokenizer, quiet


@pytest.mark.parametrize("bars", [True, False])
def test_quiet_puts_everything_back(*, bars: bool) -> None:
    switches = {
        True: transformers.logging.enable_progress_bar,
        False: transformers.logging.disable_progress_bar,
    }
    data = {True: datasets.enable_progress_bars, False: datasets.disable_progress_bars}
    before = transformers.logging.get_verbosity()
    switches[bars]()
    data[bars]()
    try:
        with quiet():
            assert transformers.logging.get_verbosity() == transformers.logging.ERROR
            assert not transformers.logging.is_progress_bar_enabled()
            assert datasets.are_progress_bars_disabled()
        assert transformers.logging.get_verbosity() == before
        assert transformers.logging.is_progress_bar_enabled() is bars
        assert datasets.are_progress_bars_disabled() is not bars
    finally:
        switches[True]()
        data[True]()


def test_a_folder_without_tokenizer_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tiny_model / name, tmp_path)
    with pytest.raises(FileProblem, match="its tokenizer cannot be loaded"):
        load_tokenizer(tmp_path)
