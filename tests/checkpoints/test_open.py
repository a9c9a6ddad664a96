from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from harness.benchmarks import LmEvalModel
from harness.checkpoints.open import open_model, shared_pool
from harness.exceptions import BadValue, InputError, UnknownName
from harness.models import ScriptedModel
from harness.models.base import Decoding, generate_all
from harness.models.hf import HfModel, HfSettings


def test_a_folder_becomes_a_model_without_loading_weights(tiny_folder: Path) -> None:
    settings = HfSettings(dtype="float32", device="cpu")
    found = open_model(tiny_folder, settings)
    assert found == HfModel(str(tiny_folder), tiny_folder, None, settings, shared_pool())
    assert open_model(str(tiny_folder)).pool is shared_pool()  # type: ignore[attr-defined]


def test_an_adapter_shares_the_pool_of_its_base(tiny_folder: Path, tiny_adapter: Path) -> None:
    found = open_model(tiny_adapter)
    assert isinstance(found, HfModel)
    assert (found.folder, found.adapter, found.name) == (tiny_folder, tiny_adapter, str(tiny_adapter))


def test_pickled_weights_answer_where_they_are_allowed(tiny_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "pickled"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    settings = HfSettings(dtype="float32", device="cpu")
    with pytest.raises(InputError, match="--allow-pickle"):
        open_model(folder, settings)
    expected = generate_all(open_model(tiny_folder, settings), ["Hi"], Decoding(6))
    assert generate_all(open_model(folder, settings, allow_pickle=True), ["Hi"], Decoding(6)) == expected
    by_setting = HfSettings(dtype="float32", device="cpu", allow_pickle=True)
    assert generate_all(open_model(folder, by_setting), ["Hi"], Decoding(6)) == expected


def test_an_lm_eval_model_is_read_from_text() -> None:
    found = open_model("lm_eval:hf:pretrained=a/b,dtype=float32")
    assert isinstance(found, LmEvalModel)
    assert (found.backend, found.arguments) == ("hf", "pretrained=a/b,dtype=float32")


def test_a_plugin_spec_makes_its_model() -> None:
    found = open_model({"scripted": {"default": "yes"}})
    assert isinstance(found, ScriptedModel)
    assert found.default == "yes"
    with pytest.raises(UnknownName, match="Did you mean 'scripted'"):
        open_model({"skripted": {}})


def test_a_kind_that_needs_settings_says_so() -> None:
    with pytest.raises(BadValue) as caught:
        open_model("openai:gpt")
    assert str(caught.value) == (
        "model is 'openai:gpt', but must be given with its settings, as {openai: {setting: value}}."
    )


def test_a_file_with_a_colon_in_its_name_is_a_file(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_folder, "openai:folder")
    assert isinstance(open_model("openai:folder"), HfModel)


def test_opening_loads_no_heavy_library(tiny_folder: Path) -> None:
    import subprocess

    code = (
        "import sys; from harness.checkpoints.open import open_model;"
        f"from harness.checkpoints.resolve import resolve; resolve({str(tiny_folder)!r});"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'lm_eval')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
