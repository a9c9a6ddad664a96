"""Tiny random models with a byte-level tokenizer: fast stand-ins wherever the architecture does not matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ("<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>")
PAD, END, TURN_START, TURN_END = range(4)
VOCABULARY = 256 + len(SPECIAL)

_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "eos_token_id": END,
    "bos_token_id": END,
    "pad_token_id": PAD,
}


def build_tokenizer(chat_template: str | None = CHAT_TEMPLATE) -> Any:
    """One token a byte, after four special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate([*SPECIAL, *alphabet])}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    names = {"pad_token": SPECIAL[PAD], "eos_token": SPECIAL[END], "bos_token": SPECIAL[END]}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)
    fast.chat_template = chat_template
    return fast


def random_model(kind: str = "llama", seed: int = 11, **changes: Any) -> Any:
    """A random two-layer decoder of an architecture that transformers knows, in float32 and eval mode.

    The weights are drawn wide (standard deviation 0.2), so that answers differ from prompt to prompt.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    settings = {"initializer_range": 0.2, **_SHAPE, **changes}
    config = AutoConfig.for_model(kind, **settings)
    torch.manual_seed(seed)
    return AutoModelForCausalLM.from_config(config).eval()


def build_model(folder: Path, chat_template: str | None = CHAT_TEMPLATE, **changes: Any) -> Path:
    """Save a random model and its tokenizer into a folder; returns the folder. See `random_model`."""
    build_tokenizer(chat_template).save_pretrained(folder)
    random_model(**changes).save_pretrained(folder)
    return folder


def build_adapter(folder: Path, base: Path, seed: int = 3, **changes: Any) -> Path:
    """Save a LoRA adapter with random, non-zero weights for a base folder; returns the folder."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    settings: dict[str, Any] = {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "v_proj", "down_proj"],
        "task_type": "CAUSAL_LM",
    }
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**(settings | changes)))
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.2)
    model.save_pretrained(folder)
    return folder


def build_virtual_adapter(folder: Path, base: Path, kind: str, tokens: int = 5) -> Path:
    """Save a prompt-tuned ("PROMPT_TUNING") or prefix-tuned ("PREFIX_TUNING") adapter with random weights."""
    import torch
    from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    config = {"PROMPT_TUNING": PromptTuningConfig, "PREFIX_TUNING": PrefixTuningConfig}[kind]
    settings = config(num_virtual_tokens=tokens, task_type="CAUSAL_LM")
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings)
    torch.manual_seed(9)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "prompt_encoder" in name:
                parameter.normal_(std=0.5)
    model.save_pretrained(folder)
    return folder
