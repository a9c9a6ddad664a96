from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.templates import get_template
from harness.exceptions import InputError
from harness.records import Sample
from harness.tuning.encoding import IGNORED, SampleEncoder, encode_samples
from harness.tuning.loading import load_tokenizer

SAMPLE = Sample("a", "Why?", "So.")


def encoder(folder: Path, template: str = "chat", length: int = 512, side: str = "right") -> SampleEncoder:
    return SampleEncoder(load_tokenizer(folder), get_template(template), length, side)


def test_chat_loss_is_on_the_answer_and_its_end_of_turn(tiny_model: Path) -> None:
    tool = encoder(tiny_model)
    item = tool.encode(SAMPLE)
    answer = [label for label in item.labels if label != IGNORED]
    assert tool.tokenizer.decode(answer) == "So.<|im_end|>"
    head = item.input_ids[: -len(answer)]
    assert tool.tokenizer.decode(head) == "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    assert item.answer_tokens == 4


def test_plain_text_ends_with_the_end_of_text_token(tiny_model: Path) -> None:
    tool = encoder(tiny_model, "question_answer")
    item = tool.encode(SAMPLE)
    assert item.input_ids[-1] == item.labels[-1] == tool.tokenizer.eos_token_id
    prompt = tool.template.prompt(SAMPLE)
    assert tool.tokenizer.decode(item.input_ids) == f"{prompt}{tool.template.completion(SAMPLE)}<|endoftext|>"


@pytest.mark.parametrize("template", ["chat", "question_answer", "alpaca"])
@pytest.mark.parametrize("has_chat_template", [True, False])
def test_prompt_tokens_are_those_the_evaluated_model_gets(
    tiny_model: Path, template: str, *, has_chat_template: bool
) -> None:
    from harness.models.hf import HfModel, HfSettings

    tool = encoder(tiny_model, template)
    if not has_chat_template:
        tool.tokenizer.chat_template = None

    class Pool:
        """Holds no weights: encoding needs the tokenizer only."""

        def tokenizer(self, *_: object, **__: object) -> object:
            return tool.tokenizer

    model = HfModel("m", tiny_model, None, HfSettings(dtype="float32", device="cpu"), Pool())  # type: ignore[arg-type]
    item = tool.encode(SAMPLE)
    head = [token for token, label in zip(item.input_ids, item.labels, strict=True) if label == IGNORED]
    assert head == model.encode(tool.template.prompt(SAMPLE))


def test_empty_prompt_starts_with_the_begin_token(tiny_model: Path) -> None:
    tool = encoder(tiny_model, "question_answer")
    item = tool.encode(Sample("t", "", "Just text."))
    assert item.labels[0] == IGNORED or tool.template.prompt(Sample("t", "", "x")) != ""
    assert tool._prompt_tokens("") == [tool.tokenizer.bos_token_id]


def test_truncation_sides(tiny_model: Path) -> None:
    whole = encoder(tiny_model).encode(SAMPLE)
    right = encoder(tiny_model, length=len(whole.input_ids) - 2).encode(SAMPLE)
    left = encoder(tiny_model, length=6, side="left").encode(SAMPLE)
    assert right.input_ids == whole.input_ids[:-2]
    assert left.input_ids == whole.input_ids[-6:]
    assert left.labels == whole.labels[-6:]


def test_samples_without_answer_after_truncation_are_counted(tiny_model: Path) -> None:
    short, long = Sample("a", "Q", "Yes"), Sample("b", "Q" * 100, "Yes")
    kept, left_out = encode_samples(encoder(tiny_model, length=60), [short, long])
    assert (len(kept), left_out) == (1, 1)


def test_a_label_on_the_first_token_alone_does_not_count(tiny_model: Path) -> None:
    # The first token of a sequence has nothing before it to be predicted from.
    item = encoder(tiny_model, length=4, side="left").encode(SAMPLE)
    assert item.labels[0] != IGNORED
    assert item.answer_tokens == 3


def test_template_without_end_of_turn_uses_the_end_of_text(tiny_model: Path) -> None:
    tool = encoder(tiny_model)
    tool.tokenizer.chat_template = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
    assert tool.encode(SAMPLE).labels[-1] == tool.tokenizer.eos_token_id


def test_tokenizer_without_end_token_is_refused(tiny_model: Path) -> None:
    tool = encoder(tiny_model, "question_answer")
    tool.tokenizer.eos_token = None
    with pytest.raises(InputError, match="eos_token_id"):
        tool.encode(SAMPLE)
