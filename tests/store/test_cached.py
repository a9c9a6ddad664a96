from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.exceptions import StageFailed
from harness.models.base import Decoding, GeneratedBatch, ScoredBatch
from harness.models.scripted import ScriptedModel
from harness.records import Finish, Generation, LogLikelihood, Message, Prompt
from harness.records.samples import prompt_json
from harness.store import NoStore, RequestKind, Store, Table, answer, response_key, score_pairs

GREEDY = Decoding()
CHAT = (Message("user", "a"),)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as opened:
        yield opened


@dataclass
class Steps:
    """Keeps what a stage reports."""

    seen: list[tuple[str, int, int]] = field(default_factory=list)

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        assert not note
        self.seen.append((stage, done, total))


@dataclass
class Untouchable:
    """Has a fingerprint and nothing else."""

    fingerprint: str

    @property
    def name(self) -> str:
        raise AssertionError

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, have: Collection[int] = ()
    ) -> Iterator[GeneratedBatch]:
        raise AssertionError((prompts, decoding, have))

    def loglikelihood(
        self, pairs: Sequence[tuple[Prompt, str]], have: Collection[int] = ()
    ) -> Iterator[ScoredBatch]:
        raise AssertionError((pairs, have))


def test_a_second_run_does_not_touch_the_model(store: Store) -> None:
    model = ScriptedModel({"a": "A", "b": "B"})
    first = answer(model, ["a", "b", CHAT], GREEDY, store)
    second = answer(Untouchable(model.fingerprint), ["a", "b", CHAT], GREEDY, store)
    assert [g.text for g in first.generations] == ["A", "B", "A"]
    assert (first.computed, first.reused) == (3, 0)
    assert second.generations == first.generations
    assert (second.computed, second.reused, second.model_seconds) == (0, 3, 0.0)


def test_only_what_is_missing_is_asked_in_the_planned_batches(store: Store) -> None:
    prompts = [str(number) for number in range(7)]
    answer(ScriptedModel(default="x"), ["1", "3", "4", "5"], GREEDY, store)
    model, steps = ScriptedModel(default="x", batch_size=3), Steps()
    got = answer(model, prompts, GREEDY, store, steps)
    assert model.batches == [(0, 2), (6,)]
    assert (got.computed, got.reused) == (3, 4)
    assert steps.seen == [("Generation", 4, 7), ("Generation", 6, 7), ("Generation", 7, 7)]


def test_a_prompt_that_stands_twice_is_asked_once(store: Store) -> None:
    model = ScriptedModel({"a": "A", "b": "B", "c": "C"}, batch_size=2)
    got = answer(model, ["a", "b", "a", "c", "a", "b"], GREEDY, store)
    assert model.asked == ["a", "b", "c"]
    assert [g.text for g in got.generations] == ["A", "B", "A", "C", "A", "B"]
    assert (got.computed, got.reused) == (3, 3)


def test_nothing_is_asked_for_no_prompts(store: Store) -> None:
    got = answer(Untouchable("f"), [], GREEDY, store)
    assert (got.generations, got.computed, got.reused) == ((), 0, 0)


def test_each_batch_is_stored_before_the_next_is_asked_for(store: Store) -> None:
    broken = ScriptedModel(default="x", batch_size=2, exceptions={"4": RuntimeError("crash")})
    prompts = [str(number) for number in range(6)]
    with pytest.raises(RuntimeError, match="crash"):
        answer(broken, prompts, GREEDY, store)
    model = ScriptedModel(default="x", batch_size=2)
    assert answer(model, prompts, GREEDY, store).reused == 4
    assert model.asked == ["4", "5"]


def test_failures_are_returned_and_tried_again(store: Store) -> None:
    sick = ScriptedModel(default="x", failures={"b": "server said 500"}, refusals=("c",))
    first = answer(sick, ["a", "b", "c"], GREEDY, store)
    assert first.generations[1] == Generation("", 0, Finish.FAILED, "server said 500")
    well = ScriptedModel(default="x", refusals=("c",))
    second = answer(well, ["a", "b", "c"], GREEDY, store)
    assert well.asked == ["b"]
    assert [g.finish for g in second.generations] == [Finish.STOP, Finish.STOP, Finish.REFUSED]
    assert second.reused == 2


@pytest.mark.parametrize(
    "given",
    [
        Generation("text\ud800", 3, Finish.LENGTH),
        Generation("", 0, Finish.REFUSED),
        Generation("half", 2, Finish.NONFINITE, "nan after 2 tokens"),
    ],
)
def test_generations_come_back_as_they_were(store: Store, given: Generation) -> None:
    model = ScriptedModel({"p": given})
    for asked in (model, Untouchable(model.fingerprint)):
        assert answer(asked, ["p"], GREEDY, store).generations == (given,)


def test_another_decoding_model_or_repeat_is_a_miss(store: Store) -> None:
    model = ScriptedModel({"a": "A"})
    answer(model, ["a"], GREEDY, store)
    assert answer(model, ["a"], Decoding(max_new_tokens=5), store).computed == 1
    assert answer(model, ["a"], GREEDY, store, repeat=1).computed == 1
    assert answer(model, ["a"], GREEDY, store, repeat=1).computed == 0
    assert answer(ScriptedModel({"a": "A"}, identity="2"), ["a"], GREEDY, store).computed == 1
    assert answer(model, ["a"], GREEDY, store).computed == 0


@dataclass
class Sampling(Untouchable):
    """Answers with the seed it was given."""

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, have: Collection[int] = ()
    ) -> Iterator[GeneratedBatch]:
        assert not have
        yield range(len(prompts)), [Generation(str(decoding.seed), 1, Finish.STOP) for _ in prompts]


def test_repeats_sample_with_seeds_of_their_own() -> None:
    def seed(base: int, repeat: int) -> str:
        decoding = Decoding(temperature=1.0, seed=base)
        return answer(Sampling("f"), ["a"], decoding, NoStore(), repeat=repeat).generations[0].text

    assert seed(7, 0) == "7"
    seeds = [seed(base, repeat) for base in range(5) for repeat in range(5)]
    assert len(set(seeds)) == 25
    assert seed(3, 4) == seed(3, 4)
    assert all(0 <= int(value) < 2**31 for value in seeds)


def test_without_a_store_everything_is_asked_every_time() -> None:
    model = ScriptedModel(default="x")
    for _ in range(2):
        assert answer(model, ["a"], GREEDY, NoStore()).computed == 1
    assert model.calls == 2


def test_the_time_in_the_model_is_measured_without_the_store() -> None:
    class Slow(NoStore):
        def put_many(self, table: Table, values: Mapping[str, object]) -> int:
            time.sleep(0.2)
            return super().put_many(table, values)

    model = ScriptedModel(default="x", batch_size=1, delay=0.03)
    got = answer(model, ["a", "b"], GREEDY, Slow())
    assert 0.06 <= got.model_seconds < 0.36


def test_what_another_process_stored_first_counts(store: Store) -> None:
    model = ScriptedModel({"a": "mine", "b": "mine"}, failures={"c": "down"})
    key = response_key(model.fingerprint, RequestKind.GENERATION, prompt_json("a"), GREEDY)

    class Late(NoStore):
        """Sees nothing at first; by the time of writing, another process has stored its answer."""

        reads = 0

        def get_many(self, table: Table, keys: Iterable[str]) -> dict[str, object]:
            self.reads += 1
            return {} if self.reads == 1 else store.get_many(table, keys)

        def put_many(self, table: Table, values: Mapping[str, object]) -> int:
            theirs = {"text": "theirs", "tokens": 1, "finish": "stop", "failure": None}
            store.put_many(table, {key: theirs})
            return store.put_many(table, values)

    got = answer(model, ["a", "b", "c"], GREEDY, Late())
    assert [g.text for g in got.generations] == ["theirs", "mine", ""]
    assert got.generations[2].finish is Finish.FAILED


@dataclass
class Forgetful(Untouchable):
    """Leaves the last request out."""

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, have: Collection[int] = ()
    ) -> Iterator[GeneratedBatch]:
        assert decoding
        assert not have
        count = len(prompts) - 1
        yield range(count), [Generation("x", 1, Finish.STOP)] * count


def test_a_model_that_leaves_prompts_out_is_noticed(store: Store) -> None:
    with pytest.raises(StageFailed, match="gave no answer to 1 of 3 requests"):
        answer(Forgetful("f"), ["a", "b", "c"], GREEDY, store)
    assert answer(Untouchable("f"), ["a", "b"], GREEDY, store).reused == 2


def test_loglikelihoods_are_stored_and_reused(store: Store) -> None:
    greedy = LogLikelihood(-0.5, greedy=True, tokens=2)
    model = ScriptedModel(loglikelihoods={" yes": greedy, " no": -3.25, " nan": math.nan}, batch_size=2)
    pairs: list[tuple[Prompt, str]] = [("q", " yes"), (CHAT, " no"), ("q", " yes"), ("q", " nan")]
    steps = Steps()
    first = score_pairs(model, pairs, store, steps)
    second = score_pairs(Untouchable(model.fingerprint), pairs, store)
    assert (first.computed, first.reused, second.computed, second.reused) == (3, 1, 0, 4)
    assert model.batches == [(0, 1), (2,)]
    assert steps.seen == [("Scoring", 0, 3), ("Scoring", 2, 3), ("Scoring", 3, 3)]
    for got in (first, second):
        assert got.loglikelihoods[:3] == (greedy, LogLikelihood(-3.25, greedy=False, tokens=1), greedy)
        assert math.isnan(got.loglikelihoods[3].value)
    assert first.model_seconds > 0 == second.model_seconds


def test_a_pair_that_could_not_be_asked_is_returned_but_not_stored(store: Store) -> None:
    table = {" long": LogLikelihood.failed("too long"), " yes": -1.0}
    model = ScriptedModel(loglikelihoods=table)
    for computed in (2, 1):
        found = score_pairs(model, [("q", " long"), ("q", " yes")], store)
        assert [score.failure for score in found.loglikelihoods] == ["too long", None]
        assert math.isnan(found.loglikelihoods[0].value)
        assert found.computed == computed


def test_what_was_stored_before_there_were_failures_is_read(store: Store) -> None:
    key = response_key("f", RequestKind.LOGLIKELIHOOD, prompt_json("q"), " yes")
    store.put_many(Table.RESPONSES, {key: {"value": -1.5, "greedy": True, "tokens": 2}})
    found = score_pairs(Untouchable("f"), [("q", " yes")], store)
    assert found.loglikelihoods == (LogLikelihood(-1.5, greedy=True, tokens=2),)


def test_another_prompt_or_continuation_is_a_miss(store: Store) -> None:
    model = ScriptedModel(default_loglikelihood=-1.0)
    score_pairs(model, [("q", " a")], store)
    assert score_pairs(model, [("q", " a"), ("q", " b"), ("r", " a"), ("q ", "a")], store).computed == 3
    # A generation for a prompt is no log-likelihood, even of the same text.
    answer(ScriptedModel(default="x", default_loglikelihood=-1.0), ["q"], GREEDY, store)
    assert (
        score_pairs(ScriptedModel(default="x", default_loglikelihood=-1.0), [("q", "")], store).computed == 1
    )
