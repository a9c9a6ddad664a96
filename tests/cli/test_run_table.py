from __future__ import annotations

import pytest
from stages.conftest import RunMaker
from support.benchmark_runs import with_scores

from harness.cli.data_options import column_mapping, data_settings
from harness.cli.options import key_values
from harness.cli.run_table import aligned, comparison_table, estimate_table
from harness.exceptions import BadValue
from harness.stages.compare import compare


def test_estimates_with_and_without_an_interval() -> None:
    run = RunMaker()({"rougeL": [0.25, 0.75, None]})
    assert [line.split() for line in estimate_table(run)] == [
        ["task", "metric", "value", "95%", "interval", "n"],
        ["held_out", "rougeL", "0.500", "none", "2", "of", "3"],
    ]


def test_changes_are_in_points_with_a_sign() -> None:
    make = RunMaker()
    found = compare(make({"rougeL": [0.1, 0.2, 0.3]}), make({"rougeL": [0.6, 0.6, 0.9]}, name="step-8"))
    (_, line) = comparison_table(found)
    assert line.split()[:2] == ["held_out", "rougeL"]
    assert "+50.0" in line
    assert line.endswith("better")
    alone = compare(make({"rougeL": [0.1]}), make({"rougeL": [0.6]}, name="step-8"))
    assert comparison_table(alone)[1].endswith("not decided")
    nothing = compare(make({"rougeL": [None]}), make({"rougeL": [0.6]}, name="step-8"))
    assert "\u2013" in comparison_table(nothing)[1]


def test_benchmarks_of_general_ability_stand_below() -> None:
    make = RunMaker()
    base = with_scores(
        make({"rougeL": [0.1, 0.2, 0.3]}), {"hellaswag": {"acc": [1.0, 0.0], "acc_norm": [1.0, 0.0]}}
    )
    tuned = with_scores(
        make({"rougeL": [0.6, 0.6, 0.9]}, name="t"),
        {"hellaswag": {"acc": [1.0, 0.0], "acc_norm": [0.0, 0.0]}},
    )
    lines = comparison_table(compare(base, tuned))
    assert [line.split()[:2] for line in lines[1:]] == [["held_out", "rougeL"], ["hellaswag", "acc_norm"]]
    assert "\u221250.0" in lines[2]


def test_columns_line_up() -> None:
    assert aligned([("a", "bb", "1", "x"), ("ccc", "d", "22", "yy")]) == ["a    bb   1  x", "ccc  d   22  yy"]


def test_key_values_keep_their_types() -> None:
    assert key_values(["rank=8", "targets=[a, b]", "x=", "y=a=b", "z=true"]) == {
        "rank": 8,
        "targets": ["a", "b"],
        "x": None,
        "y": "a=b",
        "z": True,
    }
    assert key_values(None) == {}
    for bad in ("rank", "=8"):
        with pytest.raises(BadValue, match="KEY=VALUE"):
            key_values([bad])


def test_data_options() -> None:
    found = data_settings(
        {"path": "x", "test_path": None}, {"validation": 0.1, "test": 10.0}, ["input=q", "target=a"]
    )
    assert (found.split.test, found.split.validation, found.columns) == (
        10,
        0.1,
        {"input": "q", "target": "a"},
    )
    assert isinstance(found.split.test, int)
    assert column_mapping(None) is None
    for bad in ("input", "=q", "input="):
        with pytest.raises(BadValue, match="FIELD=COLUMN"):
            column_mapping([bad])
    with pytest.raises(BadValue, match=r"split.test"):
        data_settings({"path": "x"}, {"test": 1.5}, None)
