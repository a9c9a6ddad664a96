"""Bad input of benchmarks inside an experiment: what is said before anything heavy is loaded."""

from __future__ import annotations

from support.bad_input import experiment

BENCHMARKS = [
    experiment(
        "an unknown suite", "tasks: [{suite: quik}]\n", "Unknown suite 'quik'", "Did you mean 'quick'?"
    ),
    experiment(
        "an unknown key of a benchmark",
        "tasks: [{task: arc_easy, limt: 3}]\n",
        "'tasks.0.limt'",
        "'limit'?",
    ),
    experiment(
        "a limit of a benchmark", "tasks: [{suite: quick, limit: 1.5}]\n", "limit is 1.5", "whole number"
    ),
    experiment(
        "a benchmark's limit in words",
        "tasks: [{suite: quick, limit: few}]\n",
        "tasks.0.limit is 'few'",
        "a number",
    ),
    experiment("a suite and a task", "tasks: [{suite: quick, task: mmlu}]\n", "tasks.0 is", "not both"),
    experiment("a suite without a name", "tasks: [{suite: null}]\n", "the name of a suite or a task"),
    experiment(
        "no folder of benchmarks",
        "tasks: [{task: arc_easy, data_dir: gone}]\n",
        "gone: there is no such data folder",
    ),
    experiment(
        "no subject of MMLU",
        "tasks: [{task: mmlu, data_dir: .}]\n",
        "mmlu: there is no folder of an MMLU subject",
    ),
    experiment(
        "a missing file of a benchmark",
        "tasks: [{task: arc_easy, data_dir: .}]\n",
        "train.jsonl: this file of the benchmark is missing",
    ),
    experiment(
        "a benchmark twice",
        "tasks: [{suite: quick, data_dir: shipped}, {task: hellaswag, data_dir: shipped}]\n",
        "The task 'hellaswag' is named twice",
    ),
    experiment(
        "no such primary measure of a benchmark",
        "tasks: [{task: arc_easy, data_dir: shipped}]\ncompare: {primary: hellaswag/acc}\n",
        "Unknown primary measure 'hellaswag/acc'",
    ),
    experiment(
        "an impossible tolerance of forgetting",
        "compare: {forgetting_tolerance: 5}\n",
        "compare.forgetting_tolerance is 5",
        "a share from 0 to 1",
    ),
]
