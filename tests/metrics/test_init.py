from __future__ import annotations

import subprocess
import sys

import pytest

from harness.exceptions import BadValue, InputError, UnknownName
from harness.metrics import BUILTINS, create_metrics, find_measure, registry
from harness.metrics.base import Metric
from harness.metrics.rouge import Rouge


def test_the_built_ins_are_in_the_registry() -> None:
    assert registry().names()[: len(BUILTINS)] == ["exact_match", "token_f1", "rouge", "bleu", "chrf"]
    assert all(registry().origin(builtin.name) == "built-in" for builtin in BUILTINS)


def test_every_built_in_fulfils_the_contract() -> None:
    for builtin in BUILTINS:
        made = builtin()
        assert isinstance(made, Metric)
        assert made.signature
        assert made.measures


def test_specs_become_metrics_in_order() -> None:
    made = create_metrics(["bleu", {"rouge": {"stemmer": True, "types": ["rougeL"]}}])
    assert [metric.name for metric in made] == ["bleu", "rouge"]
    assert made[1] == Rouge(types=("rougeL",), stemmer=True)


def test_two_metrics_for_one_measure_are_refused() -> None:
    with pytest.raises(InputError, match="'rouge' and 'rouge' both give the measure 'rougeL'"):
        create_metrics([{"rouge": {"types": ["rougeL"]}}, {"rouge": {"types": ["rouge1", "rougeL"]}}])
    assert len(create_metrics([{"rouge": {"types": ["rougeL"]}}, {"rouge": {"types": ["rouge1"]}}])) == 2


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("rogue", r"Unknown metric 'rogue'\. Did you mean 'rouge'"),
        ({"rouge": {"stemer": True}}, r"Unknown setting of metric 'rouge' 'stemer'\. Did you mean 'stemmer'"),
        ({"rouge": {"stemmer": "no"}}, "stemmer of metric 'rouge' is 'no', but must be true or false"),
        ({"rouge": {"types": "rougeL"}}, "types of metric 'rouge' is 'rougeL', but must be a list of texts"),
        ({"chrf": {"word_order": True}}, "word_order of metric 'chrf' is True, but must be a whole number"),
        ({"bleu": {"tokenize": 13}}, "tokenize of metric 'bleu' is 13, but must be text"),
    ],
)
def test_bad_specs_are_refused_with_one_sentence(spec: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        create_metrics([spec])  # type: ignore[list-item]


@pytest.mark.parametrize("specs", ["rouge", {"rouge": {}}])
def test_specs_must_be_a_list(specs: object) -> None:
    with pytest.raises(BadValue, match=r"metrics is .* a list"):
        create_metrics(specs)  # type: ignore[arg-type]


def test_find_measure() -> None:
    made = create_metrics(["exact_match", "rouge"])
    assert find_measure(made, "rougeL").label == "ROUGE-L"
    with pytest.raises(UnknownName, match=r"Unknown measure 'rougel'.*Did you mean 'rougeL'"):
        find_measure(made, "rougel")


def test_importing_the_family_loads_no_library_that_scores() -> None:
    code = (
        "import sys, harness.metrics.comparison, harness.metrics.runner;"
        "heavy = {'scipy', 'sacrebleu', 'rouge_score', 'nltk', 'absl', 'torch'};"
        "print(sorted(heavy & {name.split('.')[0] for name in sys.modules}))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
