from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.exceptions import InputError
from harness.models.scripted import ScriptedModel
from harness.records import Finish, Generation
from harness.stages.evaluate import RunLabel, evaluate
from harness.store import NoStore, Store
from harness.tasks import Task

MakeTask = Callable[..., Task]
ANSWERS = {
    "question 0": "answer 0",
    "question 1": "answer 1",
    "question 2": "answer 2",
    "question 3": "wrong",
}


def test_scores_every_sample_in_the_order_of_the_task(task: MakeTask) -> None:
    run = evaluate(ScriptedModel(ANSWERS), [task()], NoStore(), RunLabel("step-8", 8, {"seed": "7"}))
    assert (run.name, run.step, run.model, run.nonfinite) == ("step-8", 8, "scripted", 0)
    assert [sample.sample_id for sample in run.samples] == ["s0", "s1", "s2", "s3"]
    assert [sample.scores["exact_match"].value for sample in run.samples] == [1, 1, 1, 0]
    found = run.estimates["numbers"]["exact_match"]
    # Wilson's 95 % interval of 3 in 4: statsmodels proportion_confint(3, 4, method="wilson")
    assert (found.value, found.n, found.scored, found.method) == (0.75, 4, 4, "wilson")
    assert (found.low, found.high) == pytest.approx((0.30064184250, 0.95441273919), abs=1e-10)
    assert run.settings == {"seed": "7", "task numbers": task().signature}
    assert found.signature.endswith("|" + task().signature)


def test_a_second_run_makes_no_model_call_and_is_equal_but_for_the_clock(
    task: MakeTask, tmp_path: Path
) -> None:
    runs, models = [], []
    for _ in range(2):
        models.append(ScriptedModel(ANSWERS, delay=0.01))
        with Store.open(tmp_path) as store:
            runs.append(evaluate(models[-1], [task()], store, RunLabel("base")))
    assert [model.calls for model in models] == [1, 0]
    first, second = runs
    assert (first.samples, first.estimates, first.settings) == (
        second.samples,
        second.estimates,
        second.settings,
    )
    # the time inside the model is that of the run that did the work
    assert first.timing["model_seconds"] == second.timing["model_seconds"] >= 0.01
    assert first.timing["tokens_per_second"] == second.timing["tokens_per_second"]


def test_another_checkpoint_is_asked_though_the_base_is_stored(task: MakeTask, tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        evaluate(ScriptedModel(ANSWERS), [task()], store, RunLabel("base"))
        other = ScriptedModel(ANSWERS | {"question 3": "answer 3"})
        run = evaluate(other, [task()], store, RunLabel("step-1"))
    assert (other.calls, run.estimates["numbers"]["exact_match"].value) == (1, 1.0)


def test_a_failing_sample_is_a_counted_record_with_its_reason(task: MakeTask, tmp_path: Path) -> None:
    model = ScriptedModel(ANSWERS, failures={"question 1": "the server said 500"})
    with Store.open(tmp_path) as store:
        run = evaluate(model, [task()], store, RunLabel("base"))
        failed = run.samples[1]
        assert (failed.finish, failed.failure) == (Finish.FAILED, "the server said 500")
        assert failed.scores["exact_match"].value is None
        assert failed.scores["exact_match"].reason == "the server said 500"
        found = run.estimates["numbers"]["exact_match"]
        assert (found.n, found.scored, found.value) == (4, 3, pytest.approx(2 / 3))
        assert run.nonfinite == 0
        # a failure is not stored: the next run asks again, and for nothing else
        again = ScriptedModel(ANSWERS)
        assert (
            evaluate(again, [task()], store, RunLabel("base")).estimates["numbers"]["exact_match"].scored == 4
        )
        assert [prompt[-1].content for prompt in again.asked if isinstance(prompt, tuple)] == ["question 1"]


def test_numbers_that_are_not_finite_are_counted_and_unscored(task: MakeTask) -> None:
    nan = Generation("", 0, Finish.NONFINITE, "the model returned numbers that are not finite")
    model = ScriptedModel({**ANSWERS, "question 0": nan, "question 2": nan})
    run = evaluate(model, [task()], NoStore(), RunLabel("base"))
    assert run.nonfinite == 2
    assert run.samples[0].scores["exact_match"].value is None
    assert "not finite" in str(run.samples[0].scores["exact_match"].reason)
    assert run.estimates["numbers"]["exact_match"].scored == 2


def test_an_unexplained_failure_still_has_a_reason(task: MakeTask) -> None:
    model = ScriptedModel({**ANSWERS, "question 0": Generation("", 0, Finish.FAILED)})
    run = evaluate(model, [task()], NoStore(), RunLabel("base"))
    assert run.samples[0].scores["exact_match"].reason == "the model gave no answer"


def test_two_tasks_keep_their_numbers_apart(task: MakeTask) -> None:
    run = evaluate(ScriptedModel(ANSWERS), [task(2, "small"), task(4)], NoStore(), RunLabel("base"))
    assert [(name, found["exact_match"].value) for name, found in run.estimates.items()] == [
        ("small", 1.0),
        ("numbers", 0.75),
    ]
    assert [sample.task for sample in run.samples] == ["small"] * 2 + ["numbers"] * 4


def test_two_tasks_of_one_name_are_refused_before_the_model_is_asked(task: MakeTask) -> None:
    model = ScriptedModel(ANSWERS)
    with pytest.raises(InputError, match=r"2 tasks have the name 'numbers'"):
        evaluate(model, [task(2), task(4)], NoStore(), RunLabel("base"))
    assert model.calls == 0


def test_the_number_format_stands_in_the_settings(task: MakeTask) -> None:
    class Typed(ScriptedModel):
        dtype = "float32"

    run = evaluate(Typed(ANSWERS), [task()], NoStore(), RunLabel("base"))
    assert run.settings["dtype"] == "float32"


def test_progress_is_told(task: MakeTask) -> None:
    seen: list[tuple[Any, ...]] = []
    evaluate(
        ScriptedModel(ANSWERS, batch_size=2),
        [task()],
        NoStore(),
        RunLabel("base"),
        lambda stage, done, total, _note="": seen.append((stage, done, total)),
    )
    assert seen == [("Generation", 0, 4), ("Generation", 2, 4), ("Generation", 4, 4)]


def test_a_run_that_was_interrupted_before_anything_was_timed_has_only_its_own_seconds(
    task: MakeTask, tmp_path: Path
) -> None:
    with Store.open(tmp_path) as store:
        evaluate(ScriptedModel(ANSWERS), [task(2)], store, RunLabel("base"))
        run = evaluate(ScriptedModel(ANSWERS, delay=0.02), [task(4)], store, RunLabel("base"))
        assert run.timing["model_seconds"] >= 0.02
        stored = evaluate(ScriptedModel(ANSWERS), [task(4)], store, RunLabel("base"))
    assert stored.timing["model_seconds"] == 0
    assert "tokens_per_second" not in stored.timing
