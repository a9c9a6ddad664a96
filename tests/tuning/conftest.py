"""A tiny random model with a tokenizer of its own, and a few samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.data.templates import PromptTemplate, get_template
from harness.records import Sample
from harness.tuning import TuneSettings

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_model(folder: Path, **changes: object) -> Path:
    """Save a random two-layer Llama with a byte-level tokenizer of 256 + 4 tokens."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate([*special, *alphabet])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special)
    names = {"pad_token": "<|pad|>", "eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(11)
    settings = {
        "vocab_size": 260,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "eos_token_id": 1,
        "bos_token_id": 1,
        "pad_token_id": 0,
    }
    model = LlamaForCausalLM(LlamaConfig(**(settings | changes)))
    model.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Matrices this small are slower on two threads, and much slower on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def model_builder() -> Callable[..., Path]:
    return build_model


@pytest.fixture
def samples() -> list[Sample]:
    return make_samples(12)


@pytest.fixture
def checks() -> list[Sample]:
    return make_samples(5, start=50)


@pytest.fixture
def quick() -> Callable[..., TuneSettings]:
    return quick_settings


@pytest.fixture
def calls() -> type[Calls]:
    return Calls


@pytest.fixture
def chat() -> PromptTemplate:
    return get_template("chat")


def make_samples(count: int, start: int = 0) -> list[Sample]:
    return [
        Sample(f"s{i}", f"What is {i}?" + " Please." * (i % 5), f"It is {i}" + ", really" * (i % 4) + ".")
        for i in range(start, start + count)
    ]


@dataclass(frozen=True)
class Calls:
    """Records progress; may raise at a step, as Ctrl-C or a kill would."""

    stop_at: int | None = None
    exception: type[BaseException] = KeyboardInterrupt
    seen: list[tuple[str, int, int, str]] = field(default_factory=list)

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        self.seen.append((stage, done, total, note))
        if done == self.stop_at:
            raise self.exception


def quick_settings(**changes: object) -> TuneSettings:
    """Six steps of four samples on 12 samples, two epochs, saved every two."""
    settings: dict[str, object] = {
        "batch_size": 4,
        "epochs": 2,
        "save_every": 2,
        "learning_rate": 0.01,
        "rank": 4,
        "alpha": 8.0,
        "dtype": "float32",
    }
    return TuneSettings(**(settings | changes))  # type: ignore[arg-type]
