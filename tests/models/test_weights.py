"""Loading, refusing what is damaged, and one base under several adapters."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from support.tiny_model import build_adapter, build_model, random_model
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from harness.exceptions import FileProblem, InputError
from harness.models import weights
from harness.models.weights import LoadedWeights, WeightsPool, load, quiet_transformers

TOKENS = torch.tensor([[30, 40, 50, 60, 70]])


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=TOKENS).logits
    return found


def plain_logits(folder: Path, adapter: Path | None = None) -> torch.Tensor:
    """The oracle: transformers and peft by themselves."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    return logits(model.eval())


def copy(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def test_loads_the_weights_in_the_number_format_asked_for(tiny_folder: Path) -> None:
    found = load(tiny_folder, "float32", "cpu")
    assert torch.equal(logits(found.model), plain_logits(tiny_folder))
    assert not found.model.training
    assert found.tokenizer.decode(found.tokenizer.encode("hello")) == "hello"
    assert next(load(tiny_folder, "bfloat16", "cpu").model.parameters()).dtype is torch.bfloat16


def test_the_base_is_unchanged_by_adapters_that_were_used_before(
    tiny_folder: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    other = build_adapter(tmp_path / "other", tiny_folder, seed=4, r=2, target_modules=["q_proj", "o_proj"])
    oracle = {adapter: plain_logits(tiny_folder, adapter) for adapter in (None, tiny_adapter, other)}
    loaded = load(tiny_folder, "float32", "cpu")
    for adapter in (None, tiny_adapter, other, None, other, tiny_adapter, None):
        assert torch.allclose(logits(loaded.use(adapter)), oracle[adapter], atol=1e-6)
    assert not torch.allclose(oracle[None], oracle[tiny_adapter], atol=1e-2)
    assert not torch.allclose(oracle[other], oracle[tiny_adapter], atol=1e-2)
    assert not loaded.model.training


def test_another_adapter_in_the_same_folder_is_another_adapter(tiny_folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "checkpoint-4"
    loaded = load(tiny_folder, "float32", "cpu")
    for seed in (4, 5):
        if place.exists():
            shutil.rmtree(place)
        build_adapter(place, tiny_folder, seed=seed)
        assert torch.allclose(logits(loaded.use(place)), plain_logits(tiny_folder, place), atol=1e-6)
    assert len(loaded.adapters) == 2


def test_the_pool_gives_tokenizers_without_weights(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.models.weights.load", None)
    pool = WeightsPool()
    assert pool.tokenizer(tiny_folder).decode(pool.tokenizer(tiny_folder).encode("hello")) == "hello"
    with pytest.raises(FileProblem, match="no tokenizer can be loaded"):
        pool.tokenizer(tiny_folder / "gone")


def test_the_pool_loads_a_base_once_and_keeps_only_the_last(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[tuple[Path, str]] = []

    def counting(folder: Path, dtype: str, device: str, **settings: Any) -> LoadedWeights:
        loads.append((folder, dtype))
        return load(folder, dtype, device, **settings)

    monkeypatch.setattr(weights, "load", counting)
    other = copy(tiny_folder, tmp_path / "other")
    pool = WeightsPool()
    first = pool.get(tiny_folder, "float32", "cpu")
    assert pool.get(tiny_folder, "float32", "cpu") is first
    pool.get(tiny_folder, "bfloat16", "cpu")
    pool.get(other, "bfloat16", "cpu")
    assert pool.get(tiny_folder, "float32", "cpu") is not first
    assert loads == [
        (tiny_folder, "float32"),
        (tiny_folder, "bfloat16"),
        (other, "bfloat16"),
        (tiny_folder, "float32"),
    ]


def truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:2000])


def fill_with_text(folder: Path) -> None:
    (folder / "model.safetensors").write_text("<html>404 not found</html>")


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def rename_architecture(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "nothing_known"}')


def drop_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


def widen(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 128}))


@pytest.mark.parametrize(
    "damage", [truncate, fill_with_text, break_config, rename_architecture, drop_tokenizer, widen]
)
def test_a_damaged_folder_is_refused_in_one_sentence(
    tiny_folder: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    folder = copy(tiny_folder, tmp_path / "damaged")
    damage(folder)
    with pytest.raises(FileProblem) as caught:
        load(folder, "float32", "cpu")
    sentence = str(caught.value)
    assert sentence.startswith(f"{folder}: no model can be loaded from this folder (")
    assert "\n" not in sentence


def test_weights_that_are_missing_are_not_made_up(tiny_folder: Path, tmp_path: Path) -> None:
    folder = copy(tiny_folder, tmp_path / "partial")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        FileProblem, match=r"1 of the model's weights are not in its files, such as model\.layers\.1\.mlp"
    ):
        load(folder, "float32", "cpu")


def test_tied_weights_are_not_missing(tmp_path: Path) -> None:
    folder = build_model(tmp_path / "tied", tie_word_embeddings=True)
    assert torch.equal(logits(load(folder, "float32", "cpu").model), plain_logits(folder))


def pickle_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")


def test_pickled_weights_are_read_only_where_allowed(tiny_folder: Path, tmp_path: Path) -> None:
    folder = copy(tiny_folder, tmp_path / "pickled")
    pickle_weights(folder)
    with pytest.raises(FileProblem, match="no model can be loaded from this folder"):
        load(folder, "float32", "cpu")
    found = load(folder, "float32", "cpu", allow_pickle=True)
    assert torch.equal(logits(found.model), plain_logits(tiny_folder))


def test_safetensors_win_over_pickles(tiny_folder: Path, tmp_path: Path) -> None:
    folder = copy(tiny_folder, tmp_path / "both")
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    assert torch.equal(
        logits(load(folder, "float32", "cpu", allow_pickle=True).model), plain_logits(tiny_folder)
    )


@pytest.mark.parametrize("content", [b"no pickle", b"", b"\x80\x04cos\nsystem\n(S'true'\ntR."])
def test_a_damaged_or_dangerous_pickle_is_refused(tiny_folder: Path, tmp_path: Path, content: bytes) -> None:
    folder = copy(tiny_folder, tmp_path / "pickled")
    pickle_weights(folder)
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(FileProblem, match="no model can be loaded from this folder"):
        load(folder, "float32", "cpu", allow_pickle=True)


def test_a_state_space_model_is_refused(tmp_path: Path, tiny_folder: Path) -> None:
    folder = copy(tiny_folder, tmp_path / "mamba")
    (folder / "model.safetensors").unlink()
    random_model("mamba").save_pretrained(folder)
    with pytest.raises(InputError, match="'mamba' cannot be run here"):
        load(folder, "float32", "cpu")


def other_width(_base: Path, folder: Path) -> Path:
    wide = build_model(folder / "wide", hidden_size=64)
    return build_adapter(folder / "adapter", wide)


def no_weights(base: Path, folder: Path) -> Path:
    adapter = build_adapter(folder / "adapter", base)
    save_file({"nothing": torch.zeros(1)}, adapter / "adapter_model.safetensors")
    return adapter


def no_file(base: Path, folder: Path) -> Path:
    adapter = build_adapter(folder / "adapter", base)
    (adapter / "adapter_model.safetensors").write_text("half a file")
    return adapter


@pytest.mark.parametrize("first", [True, False], ids=["first", "after another"])
@pytest.mark.parametrize("make", [other_width, no_weights, no_file])
def test_an_adapter_that_does_not_fit_is_refused_and_the_base_stays_clean(
    tiny_folder: Path,
    tiny_adapter: Path,
    tmp_path: Path,
    make: Callable[[Path, Path], Path],
    first: bool,
) -> None:
    adapter = make(tiny_folder, tmp_path)
    pool = WeightsPool()
    if not first:
        pool.get(tiny_folder, "float32", "cpu").use(tiny_adapter)
    with pytest.raises(FileProblem) as caught:
        pool.get(tiny_folder, "float32", "cpu").use(adapter)
    assert str(caught.value).startswith(f"{adapter}: this adapter cannot be put on its base model (")
    assert "\n" not in str(caught.value)
    clean = pool.get(tiny_folder, "float32", "cpu").use(None)
    assert not [name for name, _ in clean.named_modules() if "lora" in name]
    for again, oracle in (
        (None, plain_logits(tiny_folder)),
        (tiny_adapter, plain_logits(tiny_folder, tiny_adapter)),
    ):
        found = logits(pool.get(tiny_folder, "float32", "cpu").use(again))
        assert torch.allclose(found, oracle, atol=1e-6)


def test_transformers_is_as_loud_afterwards_as_before() -> None:
    transformers_logging.set_verbosity_info()
    transformers_logging.enable_progress_bar()
    try:
        with quiet_transformers():
            assert transformers_logging.get_verbosity() == transformers_logging.ERROR
            assert not transformers_logging.is_progress_bar_enabled()
        assert transformers_logging.get_verbosity() == transformers_logging.INFO
        assert transformers_logging.is_progress_bar_enabled()
        transformers_logging.disable_progress_bar()
        with quiet_transformers():
            pass
        assert not transformers_logging.is_progress_bar_enabled()
    finally:
        transformers_logging.set_verbosity_warning()
        transformers_logging.enable_progress_bar()
