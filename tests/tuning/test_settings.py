from __future__ import annotations

import pytest

from harness.exceptions import BadValue, UnknownName
from harness.tuning import TuneSettings


def test_unknown_method_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'lora'"):
        TuneSettings(method="lore")


@pytest.mark.parametrize(
    ("field", "value"),
    [("schedule", "cosin"), ("dtype", "float64"), ("truncation_side", "middle")],
)
def test_unknown_names_are_refused(field: str, value: str) -> None:
    with pytest.raises(UnknownName, match="Allowed"):
        TuneSettings(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("epochs", float("nan")),
        ("epochs", float("inf")),
        ("epochs", True),
        ("max_steps", 0),
        ("batch_size", 0),
        ("batch_size", 2.0),
        ("gradient_accumulation", 0),
        ("learning_rate", 0),
        ("learning_rate", "fast"),
        ("warmup", 1.0),
        ("warmup", -0.1),
        ("weight_decay", -1),
        ("max_grad_norm", 0),
        ("rank", 0),
        ("alpha", 0),
        ("dropout", 1),
        ("targets", ()),
        ("targets", ("q_proj", " ")),
        ("targets", ""),
        ("max_length", 1),
        ("save_every", 0),
        ("seed", -1),
    ],
)
def test_bad_values_are_refused(field: str, value: object) -> None:
    with pytest.raises(BadValue, match=f"tune.{field} is {value!r}".replace("(", "\\(").replace(")", "\\)")):
        TuneSettings(**{field: value})  # type: ignore[arg-type]


def test_edges_are_allowed() -> None:
    settings = TuneSettings(warmup=0, dropout=0, weight_decay=0, seed=0, max_steps=1, targets=["q_proj"])  # type: ignore[arg-type]
    assert settings.targets == ("q_proj",)
