from __future__ import annotations

import json
import math
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from harness.data.templates import PromptTemplate
from harness.exceptions import FileProblem, InputError, StageFailed, UnknownName
from harness.records import Sample, Training
from harness.tuning import TuneSettings, complete_checkpoints, finetune
from harness.tuning import run as run_module
from harness.tuning.run import curve, total_steps

Quick = Callable[..., TuneSettings]
Samples = list[Sample]


@pytest.fixture
def tune(
    tiny_model: Path, samples: Samples, checks: Samples, chat: PromptTemplate, quick: Quick
) -> Callable[..., Training]:
    """Fine-tune the tiny model; keywords change arguments or, if unknown here, settings."""

    def call(out: Path, **changes: Any) -> Training:
        arguments = {
            "model_folder": changes.pop("model_folder", tiny_model),
            "train": changes.pop("train", samples),
            "validation": changes.pop("validation", checks),
            "template": chat,
        }
        progress = changes.pop("progress", None)
        extra = {} if progress is None else {"progress": progress}
        return finetune(**arguments, settings=quick(**changes), out=out, **extra)

    return call


def without_timing(training: Training) -> Training:
    """The record with folders named relative to the output folder."""
    names = tuple((step, Path(folder).name) for step, folder in training.checkpoints)
    return replace(training, timing={}, checkpoints=names)


def adapter(out: Path, step: int) -> bytes:
    return (out / f"checkpoint-{step}" / "adapter_model.safetensors").read_bytes()


def test_training_learns_and_says_what_it_did(tune: Callable[..., Training], tmp_path: Path) -> None:
    training = tune(tmp_path, epochs=5)
    assert training.method == "lora"
    assert (training.steps, training.epochs) == (15, 5.0)
    assert [step for step, _ in training.checkpoints] == [2, 4, 6, 8, 10, 12, 14, 15]
    measured = [point.validation_loss for point in training.points if point.validation_loss is not None]
    assert len(measured) == 9, "the base and every save"
    # A random model spreads over its 260 tokens.
    assert measured[0] == pytest.approx(math.log(260), rel=0.02)
    assert measured[-1] < measured[0] - 0.1
    logged = [point for point in training.points if point.loss is not None]
    assert [point.step for point in logged] == [2, 4, 6, 8, 10, 12, 14, 15]
    assert all(point.gradient_norm and point.learning_rate is not None for point in logged)
    # 14 adapters of rank 4: q, o 32-32, k, v 32-16, gate, up 32-64, down 64-32, in two blocks.
    assert training.trainable_parameters == 2 * 4 * (2 * 64 + 2 * 48 + 3 * 96)
    assert training.adapter_bytes == len(adapter(tmp_path, 15))
    assert training.timing["seconds"] > 0


def test_tokens_are_those_of_the_samples(
    tune: Callable[..., Training], tmp_path: Path, tiny_model: Path, samples: Samples
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    texts = (
        f"<|im_start|>user\n{s.input}<|im_end|>\n<|im_start|>assistant\n{s.target}<|im_end|>" for s in samples
    )
    whole = sum(len(tokenizer.encode(text)) for text in texts)
    assert tune(tmp_path).tokens == 2 * whole


def test_second_call_returns_the_record_without_work(
    tune: Callable[..., Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tune(tmp_path)
    monkeypatch.setattr(run_module, "load_tokenizer", lambda _: pytest.fail("nothing should be loaded"))
    assert tune(tmp_path) == first


@pytest.mark.parametrize("stop_at", [1, 2, 3, 5])
@pytest.mark.parametrize("changes", [{}, {"dropout": 0.2, "gradient_accumulation": 2, "epochs": 4}])
def test_interrupted_training_ends_as_if_it_had_not_been(
    tune: Callable[..., Training],
    tmp_path: Path,
    calls: Any,
    stop_at: int,
    changes: dict[str, Any],
) -> None:
    whole = tune(tmp_path / "whole", **changes)
    with pytest.raises(KeyboardInterrupt):
        tune(tmp_path / "cut", progress=calls(stop_at), **changes)
    assert [step for step, _ in complete_checkpoints(tmp_path / "cut")] == list(range(2, stop_at, 2))
    again = calls()
    resumed = tune(tmp_path / "cut", progress=again, **changes)
    assert again.seen[0][1] == (stop_at - 1) // 2 * 2, "goes on from the last complete save"
    assert without_timing(resumed) == without_timing(whole)
    for step, _ in whole.checkpoints:
        assert adapter(tmp_path / "cut", step) == adapter(tmp_path / "whole", step)


def test_finished_but_unrecorded_training_trains_no_further(
    tune: Callable[..., Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tune(tmp_path)
    record = json.loads((tmp_path / "training.json").read_text())
    (tmp_path / "training.json").write_text(json.dumps(record | {"training": None}))
    monkeypatch.setattr(run_module, "build_trainer", lambda *_: pytest.fail("nothing is left to train"))
    assert tune(tmp_path) == whole


@pytest.mark.parametrize("damage", ["no state", "cut file", "changed file"])
def test_damaged_saves_are_not_used(
    tune: Callable[..., Training], tmp_path: Path, calls: Any, damage: str
) -> None:
    whole = tune(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        tune(tmp_path / "cut", progress=calls(5))
    folder = tmp_path / "cut" / "checkpoint-4"
    weights = folder / "adapter_model.safetensors"
    if damage == "no state":
        (folder / "trainer_state.json").unlink()
    elif damage == "cut file":
        weights.write_bytes(weights.read_bytes()[:-1])
    else:
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x00\x01"[-1:])
    again = calls()
    assert without_timing(tune(tmp_path / "cut", progress=again)) == without_timing(whole)
    assert again.seen[0][1] == 2
    assert adapter(tmp_path / "cut", 6) == adapter(tmp_path / "whole", 6)


def test_other_settings_start_anew_and_move_the_old_aside(
    tune: Callable[..., Training], tmp_path: Path
) -> None:
    tune(tmp_path)
    old = adapter(tmp_path, 6)
    fresh = tune(tmp_path, learning_rate=0.02)
    (aside,) = tmp_path.glob("replaced-*")
    assert (aside / "checkpoint-6" / "adapter_model.safetensors").read_bytes() == old
    assert without_timing(fresh) == without_timing(tune(tmp_path.with_name("other"), learning_rate=0.02))
    tune(tmp_path)
    tune(tmp_path, learning_rate=0.02)
    assert len(list(tmp_path.glob("replaced-*"))) == 3


def test_other_data_or_base_start_anew(
    tune: Callable[..., Training], tmp_path: Path, samples: Samples, tiny_model: Path
) -> None:
    first = tune(tmp_path)
    assert tune(tmp_path, train=[replace(samples[0], target="No."), *samples[1:]]) != first
    other = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    (other / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    tune(tmp_path, model_folder=other)
    assert len(list(tmp_path.glob("replaced-*"))) == 2


def test_accumulation_equals_one_larger_batch(tune: Callable[..., Training], tmp_path: Path) -> None:
    # Answers differ in length, so a mean of means would differ from the mean over all answer tokens.
    small = tune(tmp_path / "small", batch_size=3, gradient_accumulation=4, max_steps=3, save_every=1)
    large = tune(tmp_path / "large", batch_size=12, gradient_accumulation=1, max_steps=3, save_every=1)
    for one, other in zip(small.points, large.points, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=1e-5)
        assert one.validation_loss == pytest.approx(other.validation_loss, abs=1e-4)


def test_full_training_saves_float32_weights(tune: Callable[..., Training], tmp_path: Path) -> None:
    training = tune(tmp_path, method="full", learning_rate=1e-3, dtype="bfloat16")
    weights = load_file(tmp_path / "checkpoint-6" / "model.safetensors")
    assert {str(item.dtype) for item in weights.values()} == {"torch.float32"}
    assert training.trainable_parameters == training.total_parameters
    losses = [point.validation_loss for point in training.points if point.validation_loss is not None]
    assert losses[-1] < losses[0]


def test_bfloat16_learns_like_float32(tune: Callable[..., Training], tmp_path: Path) -> None:
    ends = [
        tune(tmp_path / dtype, dtype=dtype, epochs=6, save_every=18).points[-1].validation_loss
        for dtype in ("float32", "bfloat16")
    ]
    assert ends[1] == pytest.approx(ends[0], rel=0.03)


def test_without_validation_there_is_no_validation_loss(
    tune: Callable[..., Training], tmp_path: Path
) -> None:
    training = tune(tmp_path, validation=[])
    assert all(point.validation_loss is None for point in training.points)
    assert [point.step for point in training.points] == [2, 4, 6]


def test_progress_counts_every_step(tune: Callable[..., Training], tmp_path: Path, calls: Any) -> None:
    seen = calls()
    tune(tmp_path, progress=seen)
    assert [(stage, done, total) for stage, done, total, _ in seen.seen] == [
        ("training", i, 6) for i in range(7)
    ]
    assert all("left" in note for _, _, _, note in seen.seen[1:])
    assert "loss " in seen.seen[-1][3]


def test_nothing_is_printed(
    tune: Callable[..., Training], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tune(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_saves_hold_no_pickled_arguments(tune: Callable[..., Training], tmp_path: Path) -> None:
    tune(tmp_path)
    names = {path.name for path in (tmp_path / "checkpoint-6").iterdir()}
    assert "adapter_config.json" in names
    assert not names & {"training_args.bin", "README.md"}


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_save(
    tune: Callable[..., Training], tmp_path: Path
) -> None:
    with pytest.raises(StageFailed, match=r"training stopped: the .* of step \d+ is (nan|inf)"):
        tune(tmp_path, learning_rate=1e30, schedule="constant", warmup=0.5, epochs=4)
    for _, folder in complete_checkpoints(tmp_path):
        assert all(item.isfinite().all() for item in load_file(folder / "adapter_model.safetensors").values())


def test_a_full_disk_while_saving_keeps_what_is_complete(
    tune: Callable[..., Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Trainer

    save = Trainer._save_optimizer_and_scheduler

    def full(self: Any, folder: str) -> None:
        if folder.endswith("-4"):
            raise OSError(28, "No space left on device")
        save(self, folder)

    monkeypatch.setattr(Trainer, "_save_optimizer_and_scheduler", full)
    with pytest.raises(StageFailed, match=r"checkpoint-4 could not be written .*No space left"):
        tune(tmp_path)
    assert [path.name for path in sorted(tmp_path.glob("checkpoint-*"))] == ["checkpoint-2"]
    monkeypatch.undo()
    assert tune(tmp_path).steps == 6


def test_too_little_space_is_refused_before_training(
    tune: Callable[..., Training], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: Any
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    seen = calls()
    with pytest.raises(FileProblem, match=r"3 saves .* only 1 MiB are free"):
        tune(tmp_path, progress=seen)
    assert not seen.seen


def test_out_that_is_a_file_is_refused(tune: Callable[..., Training], tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(FileProblem, match="cannot be stored here"):
        tune(tmp_path / "out")
    with pytest.raises(FileProblem, match="cannot be stored here"):
        tune(tmp_path / "out" / "below")


def test_no_samples(tune: Callable[..., Training], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training samples"):
        tune(tmp_path, train=[])


def test_samples_whose_answers_are_all_cut_off(tune: Callable[..., Training], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_length 5 cuts off every answer"):
        tune(tmp_path, max_length=5)


def test_cut_off_answers_are_counted(tune: Callable[..., Training], tmp_path: Path, samples: Samples) -> None:
    long = Sample("long", "Q" * 300, "Yes.")
    training = tune(tmp_path, train=[*samples, long], max_length=200)
    assert training.settings["left out, answer cut off"] == "1"
    assert training.settings["training samples"] == "12"


def test_unknown_layer_names_the_nearest(tune: Callable[..., Training], tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'q_proj'"):
        tune(tmp_path, targets=("q_pro",))


def test_chosen_layers_get_the_adapters(tune: Callable[..., Training], tmp_path: Path) -> None:
    assert tune(tmp_path, targets="q_proj").trainable_parameters == 2 * 4 * 64


def test_no_model_folder(tune: Callable[..., Training], tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(FileProblem, match="no such model folder"):
        tune(tmp_path / "out", model_folder=tmp_path / "nowhere")
    with pytest.raises(FileProblem, match="is no model folder"):
        tune(tmp_path / "out", model_folder=tmp_path)
    broken = Path(shutil.copytree(tiny_model, tmp_path / "broken"))
    (broken / "config.json").write_text("{}")
    with pytest.raises(FileProblem, match="cannot be loaded"):
        tune(tmp_path / "out", model_folder=broken)


def test_steps_follow_epochs_or_are_given() -> None:
    assert total_steps(10, TuneSettings(batch_size=4, epochs=1.5)) == 5
    assert total_steps(10, TuneSettings(batch_size=4, epochs=0.1)) == 1
    assert total_steps(10, TuneSettings(max_steps=7)) == 7


def test_curve_joins_what_belongs_to_a_step() -> None:
    points = curve(
        [
            {"eval_loss": 3.0, "step": 0},
            {"loss": 2.0, "grad_norm": 0.5, "learning_rate": 0.1, "epoch": 0.5, "step": 5},
            {"eval_loss": 1.5, "epoch": 0.5, "step": 5},
            {"train_runtime": 3.0, "step": 5},
        ]
    )
    assert [(p.step, p.epoch, p.loss, p.validation_loss) for p in points] == [
        (0, 0.0, None, 3.0),
        (5, 0.5, 2.0, 1.5),
    ]


KILLED = """
import pickle, sys
from pathlib import Path
model, out, arguments = sys.argv[1:]
samples, checks, settings = pickle.loads(Path(arguments).read_bytes())
from harness.data.templates import get_template
from harness.tuning import finetune
import time
def slow(stage, done, total, note=""):
    print(done, flush=True)
    time.sleep(0.05)
finetune(Path(model), samples, checks, get_template("chat"), settings, Path(out), slow)
"""


@pytest.mark.slow
def test_kill_nine_at_any_time(
    tune: Callable[..., Training],
    tmp_path: Path,
    tiny_model: Path,
    samples: Samples,
    checks: Samples,
    quick: Quick,
) -> None:
    changes = {"epochs": 10, "save_every": 1, "dropout": 0.1}
    whole = tune(tmp_path / "whole", **changes)
    arguments = tmp_path / "arguments"
    arguments.write_bytes(pickle.dumps((samples, checks, quick(**changes))))
    command = [sys.executable, "-c", KILLED, str(tiny_model), str(tmp_path / "cut"), str(arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = 0
    # A step of this model and its save take some 50 ms: the delays fall into step, evaluation and save.
    for delay in (0.0, 0.06, 0.08, 0.1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stdout is not None
            for _ in range(6):
                process.stdout.readline()
            time.sleep(delay)
            process.kill()
        saved = [step for step, _ in complete_checkpoints(tmp_path / "cut")]
        assert done < len(saved) < 30, "killed half-way, further on each time"
        done = len(saved)
    resumed = tune(tmp_path / "cut", **changes)
    assert without_timing(resumed) == without_timing(whole)
    assert adapter(tmp_path / "cut", 30) == adapter(tmp_path / "whole", 30)
