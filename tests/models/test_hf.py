"""A folder of weights as a model: fingerprints, prompts, batches, adapters, log-likelihoods like lm-eval's."""

from __future__ import annotations

import json
import math
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from support.tiny_model import (
    CHAT_TEMPLATE,
    END,
    PAD,
    TURN_END,
    TURN_START,
    VOCABULARY,
    build_adapter,
    build_model,
    build_tokenizer,
)
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.exceptions import BadValue, InputError
from harness.models.base import Decoding, Model, generate_all, loglikelihood_all
from harness.models.hf import HfModel, HfSettings
from harness.models.weights import WeightsPool
from harness.records import Finish, LogLikelihood, Message, Prompt

Opener = Callable[..., HfModel]
CHAT: Prompt = (Message("system", "Be short."), Message("user", "Who are you?"))
PROMPTS: tuple[Prompt, ...] = (
    "What is a checkpoint, and why does it matter?",
    "One",
    CHAT,
    "What is a checkpoint?",
    (Message("user", "Hi"),),
)


def copy(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def change_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# Fingerprints -----------------------------------------------------------------------------------------------


class NoWeights:
    """A pool that must not be asked."""

    def get(self, *_args: Any, **_settings: Any) -> Any:
        raise AssertionError("weights were loaded")


def change_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][0] += 1e-3
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def change_vocabulary(folder: Path) -> None:
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text.replace("<|im_end|>", "<|im_over|>"))


def change_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE + " ")


def change_config(folder: Path) -> None:
    change_json(folder / "config.json", rms_norm_eps=1e-3)


def change_ends(folder: Path) -> None:
    change_json(folder / "generation_config.json", eos_token_id=[1, 3])


@pytest.mark.parametrize(
    "change", [change_weights, change_vocabulary, change_template, change_config, change_ends]
)
def test_the_fingerprint_follows_every_file_that_changes_answers(
    tiny_folder: Path, tmp_path: Path, open_hf: Opener, change: Callable[[Path], None]
) -> None:
    folder = copy(tiny_folder, tmp_path / "copy")
    before = open_hf(folder, pool=NoWeights()).fingerprint
    change(folder)
    assert open_hf(folder, pool=NoWeights()).fingerprint != before


def test_the_fingerprint_follows_the_dtype(tiny_folder: Path, open_hf: Opener) -> None:
    names = {
        open_hf(tiny_folder, pool=NoWeights(), dtype=name).fingerprint for name in ("float32", "bfloat16")
    }
    assert len(names) == 2


def test_the_fingerprint_stays_where_the_folder_moves_or_gains_other_files(
    tiny_folder: Path, tmp_path: Path, open_hf: Opener
) -> None:
    before = open_hf(tiny_folder, pool=NoWeights()).fingerprint
    folder = copy(tiny_folder, tmp_path / "moved")
    (folder / "README.md").write_text("hello")
    (folder / "trainer_state.json").write_text("{}")
    (folder / "training_args.bin").write_bytes(b"x")
    found = HfModel("another name", folder, None, HfSettings("float32", "cpu", 99, 3), NoWeights())  # type: ignore[arg-type]
    assert found.fingerprint == before


def test_code_that_is_trusted_is_part_of_the_fingerprint(
    tiny_folder: Path, tmp_path: Path, open_hf: Opener
) -> None:
    folder = copy(tiny_folder, tmp_path / "code")

    def both() -> list[str]:
        return [
            open_hf(folder, pool=NoWeights(), trust_remote_code=trust).fingerprint for trust in (False, True)
        ]

    before = both()
    (folder / "modeling_own.py").write_text("x = 1")
    after = both()
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_the_fingerprint_follows_the_adapter_but_not_the_path_of_its_base(
    tiny_folder: Path, tiny_adapter: Path, tmp_path: Path, open_hf: Opener
) -> None:
    def fingerprint(adapter: Path | None) -> str:
        return open_hf(tiny_folder, adapter, pool=NoWeights()).fingerprint

    first = fingerprint(tiny_adapter)
    moved = copy(tiny_adapter, tmp_path / "moved")
    change_json(moved / "adapter_config.json", base_model_name_or_path="/elsewhere/base")
    assert fingerprint(moved) == first
    change_json(moved / "adapter_config.json", lora_alpha=16)
    other = build_adapter(tmp_path / "other", tiny_folder, seed=5)
    assert len({first, fingerprint(None), fingerprint(moved), fingerprint(other)}) == 4


def test_pickled_weights_are_part_of_the_fingerprint(
    tiny_folder: Path, tmp_path: Path, open_hf: Opener
) -> None:
    folder = copy(tiny_folder, tmp_path / "pickled")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    found = []
    for _ in range(2):
        torch.save(tensors, folder / "pytorch_model.bin")
        found.append(open_hf(folder, pool=NoWeights(), allow_pickle=True).fingerprint)
        tensors["model.norm.weight"][0] += 1e-3
    assert found[0] != found[1]
    answer = generate_all(open_hf(folder, allow_pickle=True), ["Hi"], Decoding(4))
    assert answer[0].tokens == 4


def test_it_is_a_model_with_a_number_format(tiny_folder: Path, open_hf: Opener) -> None:
    model = open_hf(tiny_folder, dtype="bfloat16")
    assert isinstance(model, Model)
    assert (model.name, model.dtype) == ("tiny", "bfloat16")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"token_budget": 0}, "token_budget is 0, but must be 1 or more."),
        ({"max_rows": 0}, "max_rows is 0, but must be 1 or more."),
    ],
)
def test_settings_without_room_are_refused(settings: dict[str, int], sentence: str) -> None:
    with pytest.raises(BadValue) as caught:
        HfSettings(**settings)  # type: ignore[arg-type]
    assert str(caught.value) == sentence


# Prompts ----------------------------------------------------------------------------------------------------


def test_messages_go_through_the_chat_template(tiny_folder: Path, open_hf: Opener) -> None:
    model = open_hf(tiny_folder)
    text = "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n"
    assert model.render(CHAT) == (text, False)
    tokens = model.encode(CHAT)
    assert tokens.count(TURN_START) == 3
    assert tokens.count(TURN_END) == 2
    assert model.render("as it stands") == ("as it stands", True)


def test_without_a_chat_template_turns_become_paragraphs(tmp_path: Path, open_hf: Opener) -> None:
    model = open_hf(build_model(tmp_path / "plain", chat_template=None))
    assert model.render(CHAT) == (
        "### System:\nBe short.\n\n### User:\nWho are you?\n\n### Assistant:\n",
        True,
    )


def test_tokens_are_counted_with_the_answer_and_its_end(tiny_folder: Path, open_hf: Opener) -> None:
    # one token a byte; é has two
    model = open_hf(tiny_folder)
    assert model.count_tokens([("abc", "de"), ("", ""), ("é", "x")]) == [6, 1, 4]


REFUSING = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + (
    CHAT_TEMPLATE
)


def test_a_prompt_that_cannot_be_asked_fails_alone(tmp_path: Path, open_hf: Opener) -> None:
    model = open_hf(build_model(tmp_path / "refusing", chat_template=REFUSING))
    good: Prompt = (Message("user", "Hi"),)
    found = generate_all(model, [good, CHAT, "half \ud83d", "fine"], Decoding(4))
    assert [generation.finish for generation in found] == [
        Finish.LENGTH,
        Finish.FAILED,
        Finish.FAILED,
        Finish.LENGTH,
    ]
    assert found[1].failure == "The model's chat template refuses this prompt: no system role"
    assert found[2].failure == "The text holds half a character (a lone surrogate): no tokens."
    assert [found[0]] == generate_all(model, [good], Decoding(4))
    again = [indices for indices, _ in model.generate([good, CHAT], Decoding(4), have={1})]
    assert again == [[0]]
    scores = loglikelihood_all(
        model, [(CHAT, "x"), ("fine", " yes"), ("half \ud83d", "x"), ("fine", "\ud83d")]
    )
    assert [score.failure for score in scores] == [
        found[1].failure,
        None,
        *[found[2].failure] * 2,
    ]
    assert scores[1] == loglikelihood_all(model, [("fine", " yes")])[0]
    with pytest.raises(InputError, match="half a character"):
        list(model.rolling(["half \ud83d"]))


# Generation -------------------------------------------------------------------------------------------------


def alone_tokens(folder: Path, adapter: Path | None, prompt: Prompt, new_tokens: int) -> list[int]:
    """The oracle: transformers by itself, one prompt at a time."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    if isinstance(prompt, str):
        tokens = tokenizer(prompt, return_tensors="pt")["input_ids"]
    else:
        turns = [{"role": turn.role, "content": turn.content} for turn in prompt]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        tokens = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        found = model.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            do_sample=False,
            max_new_tokens=new_tokens,
            pad_token_id=PAD,
        )
    return [int(token) for token in found[0, tokens.shape[1] :]]


def alone(folder: Path, adapter: Path | None, prompt: Prompt, new_tokens: int) -> str:
    tokens = alone_tokens(folder, adapter, prompt, new_tokens)
    return str(AutoTokenizer.from_pretrained(folder).decode(tokens, skip_special_tokens=True))


def test_answers_are_transformers_own_for_base_and_adapters_on_one_pool(
    tiny_folder: Path, tiny_adapter: Path, tmp_path: Path, open_hf: Opener
) -> None:
    other = build_adapter(tmp_path / "other", tiny_folder, seed=8)
    base = open_hf(tiny_folder)
    first, second = base.with_adapter(tiny_adapter, "first"), base.with_adapter(other, "second")
    assert (first.name, first.pool) == ("first", base.pool)
    oracle = {
        adapter: [alone(tiny_folder, adapter, prompt, 12) for prompt in PROMPTS]
        for adapter in (None, tiny_adapter, other)
    }
    assert len({tuple(texts) for texts in oracle.values()}) == 3
    for model in (base, first, second, base, first):
        found = generate_all(model, PROMPTS, Decoding(max_new_tokens=12))
        assert [generation.text for generation in found] == oracle[model.adapter]


def test_the_end_tokens_are_the_model_s_and_the_tokenizer_s(
    tiny_folder: Path, tmp_path: Path, open_hf: Opener
) -> None:
    folder = copy(tiny_folder, tmp_path / "ends")
    written = alone_tokens(folder, None, "One", 12)
    change_json(folder / "generation_config.json", eos_token_id=[END, written[4]])
    [found] = generate_all(open_hf(folder), ["One"], Decoding(12))
    kept = written[: written.index(written[4])]
    assert (found.finish, found.tokens) == (Finish.STOP, len(kept))
    assert found.text == build_tokenizer().decode(kept)


def test_a_stop_string_that_is_a_special_token_ends_the_answer(tmp_path: Path, open_hf: Opener) -> None:
    """It leaves no trace in the text, so it has to be seen as a token."""
    folder = build_model(tmp_path / "special")
    third = alone_tokens(folder, None, "One", 3)[-1]
    # the head's rows of the token written third and of <|im_end|> change places
    tensors = load_file(folder / "model.safetensors")
    order = list(range(VOCABULARY))
    order[third], order[TURN_END] = TURN_END, third
    tensors["lm_head.weight"] = tensors["lm_head.weight"][order].contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    assert alone_tokens(folder, None, "One", 3)[-1] == TURN_END
    [without] = generate_all(open_hf(folder), ["One"], Decoding(8))
    [found] = generate_all(open_hf(folder), ["One"], Decoding(8, stop=("<|im_end|>",)))
    assert (without.finish, without.tokens) == (Finish.LENGTH, 8)
    assert (found.finish, found.tokens) == (Finish.STOP, 2)
    assert found.text == alone(folder, None, "One", 2)


def test_batches_are_planned_from_all_prompts_and_the_known_are_left_out(
    tiny_folder: Path, open_hf: Opener
) -> None:
    prompts = ["a" * length for length in (5, 30, 11, 30, 2)]
    model = open_hf(tiny_folder, max_rows=2)
    decoding = Decoding(max_new_tokens=3)
    plan = [list(indices) for indices, _ in model.generate(prompts, decoding)]
    assert plan == [[1, 3], [2, 0], [4]]
    rest = [list(indices) for indices, _ in model.generate(prompts, decoding, have={3, 4})]
    assert rest == [[1], [2, 0]]
    tight = [
        list(indices) for indices, _ in open_hf(tiny_folder, token_budget=33).generate(prompts, decoding)
    ]
    assert tight == [[1], [3], [2, 0], [4]]  # 2 x 14 tokens fit into 33


def test_with_everything_stored_no_weights_are_loaded(tiny_folder: Path, open_hf: Opener) -> None:
    model = open_hf(tiny_folder, pool=NoWeights())
    assert list(model.generate(["a", "b"], Decoding(), have=[1, 0])) == []
    assert list(model.loglikelihood([("a", "b")], have=[0])) == []
    assert list(model.generate([], Decoding())) == []


def test_numbers_not_known_to_the_list_do_not_hide_a_prompt(tiny_folder: Path, open_hf: Opener) -> None:
    found = list(open_hf(tiny_folder).generate(["a"], Decoding(2), have=[5]))
    assert [list(indices) for indices, _ in found] == [[0]]


def test_a_prompt_longer_than_the_model_takes_loses_its_beginning(tmp_path: Path, open_hf: Opener) -> None:
    # learned positions: a token too many is an IndexError
    folder = build_model(tmp_path / "short", kind="gpt2", n_positions=40, max_position_embeddings=40)
    model = open_hf(folder)
    long = "The beginning of this prompt is lost, but the end is still there."
    [found] = generate_all(model, [long], Decoding(max_new_tokens=10))
    assert found.text == alone(folder, None, long[-30:], 10)
    assert (found.tokens, found.finish) == (10, Finish.LENGTH)
    assert found.cut == len(long) - 30  # one token a character
    [whole] = generate_all(model, [long[-30:]], Decoding(max_new_tokens=10))
    assert whole.cut == 0


def test_an_answer_ends_where_the_model_s_longest_sequence_does(tmp_path: Path, open_hf: Opener) -> None:
    folder = build_model(tmp_path / "short", kind="gpt2", n_positions=40, max_position_embeddings=40)
    [found] = generate_all(open_hf(folder), ["abc"], Decoding(max_new_tokens=500))
    assert found.text == alone(folder, None, "c", 39)
    assert (found.tokens, found.finish) == (39, Finish.LENGTH)


def test_an_empty_prompt_starts_from_the_start_token(tiny_folder: Path, open_hf: Opener) -> None:
    [found] = generate_all(open_hf(tiny_folder), [""], Decoding(max_new_tokens=6))
    assert found.text == alone(tiny_folder, None, "<|endoftext|>", 6)


# Log-likelihoods --------------------------------------------------------------------------------------------

PAIRS: tuple[tuple[str, str], ...] = (
    ("What is a checkpoint?", " Weights on disk."),
    ("What is a checkpoint? ", "Weights on disk."),
    ("Question: why?\nAnswer:", " because"),
    ("A line\n", "and the next"),
    ("One", "."),
    ("", "From nothing"),
    ("x" * 60, "yz"),
)


def independent(folder: Path, adapter: Path | None, tokens: list[int], scored: int) -> tuple[float, bool]:
    """The oracle: one unpadded forward pass, log_softmax over all of it."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter))
    with torch.inference_mode():
        logs = model(input_ids=torch.tensor([tokens])).logits[0].log_softmax(-1)
    places = range(len(tokens) - scored, len(tokens))
    return (
        sum(float(logs[place - 1, tokens[place]]) for place in places),
        all(int(logs[place - 1].argmax()) == tokens[place] for place in places),
    )


@pytest.mark.parametrize("tuned", [False, True], ids=["base", "adapter"])
def test_log_likelihoods_equal_an_independent_pass(
    tiny_folder: Path, tiny_adapter: Path, open_hf: Opener, tuned: bool
) -> None:
    adapter = tiny_adapter if tuned else None
    tokenizer = build_tokenizer()
    pairs: list[tuple[Prompt, str]] = [*PAIRS, (CHAT, "I am a model."), ("nothing follows", ""), ("", "")]
    found = loglikelihood_all(open_hf(tiny_folder, adapter, max_rows=3), pairs)
    for (prompt, continuation), value in zip(pairs, found, strict=True):
        if isinstance(prompt, str):
            head, text = prompt.rstrip(), prompt + continuation
        else:
            head = open_hf(tiny_folder).render(prompt)[0].rstrip()
            text = open_hf(tiny_folder).render(prompt)[0] + continuation
        start = [] if head else [END]
        tokens = [*start, *tokenizer.encode(text)]
        scored = len(tokens) - len(start) - len(tokenizer.encode(head)) if continuation else 0
        assert value.tokens == scored
        if scored == 0:
            assert (value.value, value.greedy) == (0.0, True)
            continue
        expected, greedy = independent(tiny_folder, adapter, tokens, scored)
        assert value.value == pytest.approx(expected, abs=1e-4)
        assert value.greedy is greedy


def test_log_likelihoods_equal_lm_eval_s(tiny_folder: Path, open_hf: Opener) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    peer = HFLM(pretrained=str(tiny_folder), dtype="float32", device="cpu", batch_size=4)
    # beyond the longest sequence of 512 too: both drop the beginning
    varied = "".join(chr(97 + i * i % 26) for i in range(600))
    pairs = [*PAIRS, (varied, " tail"), (varied[:508], "tails"), (varied[:509], "tails")]
    theirs = peer.loglikelihood(
        [Instance("loglikelihood", {}, pair, index) for index, pair in enumerate(pairs)], disable_tqdm=True
    )
    ours = loglikelihood_all(open_hf(tiny_folder), pairs)
    for mine, (value, greedy) in zip(ours, theirs, strict=True):
        assert mine.value == pytest.approx(value, abs=1e-4)
        assert mine.greedy is bool(greedy)


def test_a_continuation_longer_than_the_model_fails_alone(tmp_path: Path, open_hf: Opener) -> None:
    folder = build_model(tmp_path / "short", kind="gpt2", n_positions=8, max_position_embeddings=8)
    model = open_hf(folder)
    [fits] = loglikelihood_all(model, [("a long prompt", "12345678")])
    tokens = build_tokenizer().encode("t12345678")
    assert fits.tokens == 8
    with torch.inference_mode():
        logs = model.weights.model(input_ids=torch.tensor([tokens[:-1]])).logits[0].log_softmax(-1)
    assert fits.value == pytest.approx(
        sum(float(logs[place, token]) for place, token in enumerate(tokens[1:])), abs=1e-4
    )
    pairs = [("a", "123456789"), ("a long prompt", "12345678"), ("", "")]
    failed, again, empty = loglikelihood_all(model, pairs)
    assert failed.failure == "A continuation has 9 tokens, but the model 'tiny' takes at most 8."
    assert (math.isnan(failed.value), failed.greedy, failed.tokens) == (True, False, 0)
    assert again == fits
    assert empty == LogLikelihood(0.0, greedy=True, tokens=0)
    assert list(model.loglikelihood(pairs, have=[0, 1, 2])) == []
    assert [list(indices) for indices, _ in model.loglikelihood(pairs, have=[1, 2])] == [[0]]


def test_prompt_and_continuation_that_grow_into_one_token_are_scored_apart(
    tiny_folder: Path, tmp_path: Path, open_hf: Opener
) -> None:
    folder = copy(tiny_folder, tmp_path / "merging")
    change_merges(folder)
    model = open_hf(folder)
    assert len(model.encode("ab")) == 1
    [found] = loglikelihood_all(model, [("a", "b")])
    a, b = build_tokenizer().encode("ab")
    expected, _ = independent(folder, None, [a, b], 1)
    assert found.tokens == 1
    assert found.value == pytest.approx(expected, abs=1e-4)


def change_merges(folder: Path) -> None:
    """Give the tokenizer one merge: "a" and "b" become the token that "~" had."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["ab"] = vocabulary.pop("~")
    content["model"]["merges"] = [["a", "b"]]
    path.write_text(json.dumps(content))


def test_opening_and_fingerprinting_need_no_transformers(tiny_folder: Path) -> None:
    import subprocess

    code = (
        "import sys; from pathlib import Path; from harness.models.hf import HfModel, HfSettings;"
        f"HfModel('x', Path({str(tiny_folder)!r}), None, HfSettings('float32', 'cpu'), None).fingerprint;"
        "sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


def test_one_pool_serves_models_of_the_same_folder(tiny_folder: Path, open_hf: Opener) -> None:
    pool = WeightsPool()
    assert open_hf(tiny_folder, pool=pool).weights is open_hf(tiny_folder, pool=pool, max_rows=3).weights


def test_the_fingerprint_does_not_see_the_order_in_which_peft_wrote_its_sets(tmp_path: Path) -> None:
    base = build_model(tmp_path / "base")
    adapter = build_adapter(tmp_path / "adapter", base)
    model = HfModel("tuned", base, adapter, HfSettings(dtype="float32"), WeightsPool())
    before = model.fingerprint
    path = adapter / "adapter_config.json"
    config = json.loads(path.read_text())
    assert len(config["target_modules"]) > 1
    config["target_modules"] = list(reversed(config["target_modules"]))
    path.write_text(json.dumps(config))
    again = HfModel("tuned", base, adapter, HfSettings(dtype="float32"), WeightsPool())
    assert again.fingerprint == before
