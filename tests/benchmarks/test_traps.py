"""What lm-eval 0.4.13 gets wrong, or lets a user get wrong: each held here or in the tests beside it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.conftest import LABEL, checksum_model, hellaswag_row, write
from safetensors.torch import load_file, save_file
from support.tiny_model import build_adapter, build_model, build_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.benchmarks import BenchSettings, bench
from harness.benchmarks.adaptive import both
from harness.cli.main import run as command_line
from harness.exceptions import FileProblem, InputError
from harness.models.hf import HfModel, HfSettings
from harness.models.live import LiveModel
from harness.models.weights import WeightsPool
from harness.records import Finish, RunResult
from harness.store import NoStore, Store


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("tiny"))


def open_model(folder: Path, adapter: Path | None = None) -> HfModel:
    return HfModel("tiny", folder, adapter, HfSettings("float32", "cpu"), WeightsPool())


def run(model: Any, names: list[str], store: Any = None, **settings: Any) -> RunResult:
    return bench(model, names, store or NoStore(), BenchSettings(**settings), LABEL)


# A checkpoint that diverged --------------------------------------------------------------------------------


def broken(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> Path:
    """A tiny model with other weights."""
    build_model(folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_token_that_is_not_finite_breaks_the_samples_that_hold_it_and_no_others(
    bench_dir: Path, tmp_path: Path, value: float
) -> None:
    """Masked numbers are multiplied by 0, and 0 times NaN is NaN: a batch must not pass it on to its neighbours.

    One token a byte; the embedding of "@" is spoiled. Sample 7 is the longest, so that its row comes first, and
    it begins with that token: it is what other rows are padded with.
    """
    rows = [hellaswag_row(number) for number in range(11)]
    rows[7]["activity_label"] = "@ doing what takes the longest of all the things that are done here"
    write(bench_dir / "hellaswag" / "validation.jsonl", rows)

    def spoil(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.embed_tokens.weight"][build_tokenizer().encode("@")[0]] = value

    folder = broken(tmp_path / "spoiled", spoil)
    found = run(open_model(folder), ["hellaswag"], data_dir=bench_dir)
    assert [s.sample_id for s in found.samples if s.finish is Finish.NONFINITE] == ["7"]
    estimate = found.estimates["hellaswag"]["acc"]
    assert (found.nonfinite, estimate.scored, estimate.n) == (1, 10, 11)
    sound = run(open_model(build_model(tmp_path / "sound")), ["hellaswag"], data_dir=bench_dir)
    for mine, theirs in zip(found.samples, sound.samples, strict=True):
        if mine.sample_id != "7":  # whose neighbours in the batch have their own numbers
            assert mine.loglikelihoods == pytest.approx(theirs.loglikelihoods, abs=1e-4)


@pytest.mark.filterwarnings("error:Models of the kind 'llama' do not fit")
def test_a_model_of_nothing_but_nan_has_no_score(bench_dir: Path, tmp_path: Path) -> None:
    """lm-eval gives it 1.0 here: `argmax` of NaNs is 0, and the right answer comes first."""
    folder = broken(tmp_path / "nan", lambda tensors: tensors["lm_head.weight"].fill_(math.nan))
    found = run(open_model(folder), ["truthfulqa_mc1", "mmlu_anatomy"], data_dir=bench_dir)
    assert found.nonfinite == len(found.samples) == 9 + 7
    assert {each["acc"].value for each in found.estimates.values()} == {None}


@pytest.mark.filterwarnings("error:Models of the kind 'llama' do not fit")
def test_the_command_line_says_how_many_samples_and_exits_with_1(
    bench_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = broken(tmp_path / "nan", lambda tensors: tensors["lm_head.weight"].fill_(math.nan))
    options = ["--data-dir", str(bench_dir), "--out", str(tmp_path / "out"), "--limit", "4"]
    place = ["--workspace", str(tmp_path / "runs"), "--dtype", "float32"]
    code = command_line(["bench", str(folder), "--tasks", "truthfulqa_mc1", *options, *place])
    said = capsys.readouterr().err.splitlines()
    assert code == 1
    assert said[-1].endswith("returned numbers that are not finite on 4 of 4 samples.")
    assert json.loads((tmp_path / "out" / "results.json").read_bytes())["nonfinite"] == 4


# Checkpoints beside each other -----------------------------------------------------------------------------


def test_nothing_leaks_from_one_checkpoint_to_another_through_the_store(
    bench_dir: Path, tiny: Path, tmp_path: Path
) -> None:
    """lm-eval's response cache knows no model: the tuned one gets the base's answers (its issue 4063)."""
    adapters = [build_adapter(tmp_path / f"adapter{seed}", tiny, seed=seed) for seed in (1, 2)]
    models = [open_model(tiny), *(open_model(tiny, adapter) for adapter in adapters)]
    names = ["arc_easy", "mmlu_anatomy"]
    alone = [run(model, names, data_dir=bench_dir, num_fewshot=2) for model in models]
    with Store.open(tmp_path / "store") as store:
        for model, expected in zip(models, alone, strict=True):
            found = run(model, names, store, data_dir=bench_dir, num_fewshot=2)
            assert found.timing["model_seconds"] > 0
            assert found.samples == expected.samples
        again = run(models[1], names, store, data_dir=bench_dir, num_fewshot=2)
        assert (again.samples, again.timing["model_seconds"]) == (alone[1].samples, 0.0)
    scores = {each.samples[0].loglikelihoods for each in alone}
    assert len(scores) == len({each.fingerprint for each in alone}) == 3


def test_other_weights_in_the_same_folder_are_another_checkpoint(bench_dir: Path, tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        found = []
        for seed in (1, 2):
            folder = build_model(tmp_path / "same", seed=seed)
            found.append(run(open_model(folder), ["arc_easy"], store, data_dir=bench_dir, limit=2))
    assert found[0].samples[0].loglikelihoods != found[1].samples[0].loglikelihoods


@pytest.mark.parametrize(
    "settings",
    [
        {"num_fewshot": 1},
        {"num_fewshot": 1, "fewshot_seed": 5},
        {"apply_chat_template": True},
        {"system_instruction": "Be brief."},
    ],
)
def test_no_setting_is_answered_by_another_settings_responses(
    bench_dir: Path, tiny: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """lm-eval's request cache leaves out the few-shot seed and the samples (its issues 4084 and 3881)."""
    alone = run(open_model(tiny), ["arc_easy"], data_dir=bench_dir, limit=3, **settings)
    with Store.open(tmp_path / "store") as store:
        run(open_model(tiny), ["arc_easy"], store, data_dir=bench_dir, limit=3, num_fewshot=2)
        found = run(open_model(tiny), ["arc_easy"], store, data_dir=bench_dir, limit=3, **settings)
    assert found.samples == alone.samples
    assert found.estimates == alone.estimates


# A model in training ---------------------------------------------------------------------------------------


def test_a_live_model_goes_on_as_if_nothing_had_happened(bench_dir: Path, tiny: Path) -> None:
    """`simple_evaluate` seeds Python, numpy and torch anew, and HFLM leaves the model in evaluation mode."""
    inner = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32).train()
    model = LiveModel.of(inner, AutoTokenizer.from_pretrained(tiny))

    def draw() -> tuple[float, ...]:
        return random.random(), float(np.random.random()), torch.rand(1).item()  # noqa: S311, NPY002

    def seed() -> None:
        random.seed(3), np.random.seed(4), torch.manual_seed(5)  # noqa: NPY002

    seed()
    expected = draw()
    seed()
    found = run(model, ["arc_easy", "truthfulqa_mc2"], data_dir=bench_dir, num_fewshot=1, limit=3)
    assert draw() == expected
    assert all(module.training for module in inner.modules())
    from_disk = run(open_model(tiny), ["arc_easy"], data_dir=bench_dir, num_fewshot=1, limit=3)
    for mine, other in zip(found.samples, from_disk.samples, strict=False):
        assert mine.loglikelihoods == pytest.approx(other.loglikelihoods, abs=1e-4)
    assert found.fingerprint == model.fingerprint  # and not the name of the base


# Numbers and names -----------------------------------------------------------------------------------------


def test_a_limit_of_one_is_one_sample(bench_dir: Path) -> None:
    """1.0 reads like everything, but is one sample in lm-eval; so it is here, and the signature says so."""
    found = run(checksum_model(), ["arc_easy"], data_dir=bench_dir, limit=1.0)
    assert len(found.samples) == 1
    assert "samples:first 1 of 12" in found.estimates["arc_easy"]["acc"].signature


def test_of_equal_choices_the_first_is_taken(bench_dir: Path) -> None:
    found = run(checksum_model(loglikelihoods=lambda *_: -1.0), ["mmlu_anatomy"], data_dir=bench_dir)
    rows = [json.loads(line) for line in (bench_dir / "mmlu/anatomy/test.jsonl").read_text().splitlines()]
    assert {sample.answer for sample in found.samples} == {"A"}
    expected = [float(row["answer"] == 0) for row in rows]
    assert [sample.scores["acc"].value for sample in found.samples] == expected


# Texts that do not fit -------------------------------------------------------------------------------------


def test_a_choice_longer_than_the_model_takes_fails_its_sample_alone(bench_dir: Path, tiny: Path) -> None:
    """One token a byte, 512 at most; lm-eval's HFLM stops the whole run with an assertion."""
    path = bench_dir / "arc_easy" / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[2]["choices"]["text"][1] = "x" * 600
    write(path, rows)
    found = run(open_model(tiny), ["arc_easy"], data_dir=bench_dir, limit=5)
    reason = "A continuation has 601 tokens, but the model 'tiny' takes at most 512."
    assert [sample.failure for sample in found.samples] == [None, None, reason, None, None]
    estimate = found.estimates["arc_easy"]["acc"]
    assert (found.nonfinite, estimate.scored, estimate.n) == (0, 4, 5)
    assert found.settings["task arc_easy, failed"] == f"1 of 5 samples (first: sample 2, {reason})"


def test_half_a_character_fails_its_sample_alone(bench_dir: Path, tiny: Path) -> None:
    path = bench_dir / "arc_easy" / "test.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[1]["choices"]["text"][0] = "half \ud83d"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = run(open_model(tiny), ["arc_easy"], data_dir=bench_dir, limit=3)
    reason = "test.jsonl, line 2: a text holds half a character (a lone surrogate)"
    assert [sample.failure for sample in found.samples] == [None, reason, None]
    assert found.estimates["arc_easy"]["acc"].scored == 2


# Models and tokenizers that do not belong together ---------------------------------------------------------


def test_a_model_without_a_tokenizer_is_one_sentence(bench_dir: Path, tmp_path: Path) -> None:
    folder = build_model(tmp_path / "bare")
    for path in [*folder.glob("tokenizer*"), *folder.glob("special*"), *folder.glob("chat_template*")]:
        path.unlink()
    with pytest.raises(FileProblem, match="bare: no tokenizer can be loaded from this folder"):
        run(open_model(folder), ["arc_easy"], data_dir=bench_dir)


def test_a_tokenizer_of_another_model_is_one_sentence(bench_dir: Path, tmp_path: Path) -> None:
    """HFLM would stop half-way with an IndexError, or score what it found in other rows."""
    folder = build_model(tmp_path / "other", vocab_size=200)
    sentence = "its tokens go up to number 259, but the model knows only 200 (numbers 0 to 199)."
    with pytest.raises(FileProblem) as caught:
        run(open_model(folder), ["arc_easy"], data_dir=bench_dir)
    assert str(caught.value) == f"{folder}: the tokenizer does not fit the model: {sentence}"


def test_an_embedding_with_rows_to_spare_is_no_matter(bench_dir: Path, tmp_path: Path) -> None:
    """Many models round their vocabulary up."""
    folder = build_model(tmp_path / "padded", vocab_size=320)
    assert run(open_model(folder), ["arc_easy"], data_dir=bench_dir, limit=2).samples[0].failure is None


def test_a_model_in_memory_has_one_precision(tiny: Path) -> None:
    live = LiveModel.of(
        AutoModelForCausalLM.from_pretrained(tiny, dtype="float32"),
        AutoTokenizer.from_pretrained(tiny),
    )
    with pytest.raises(InputError, match="a checkpoint on disk; 'live' is in float32 alone"):
        both(live)
