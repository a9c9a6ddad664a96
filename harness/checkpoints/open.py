"""Opens anything a user can name as a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness.benchmarks  # noqa: F401 - adds the kind lm_eval
from harness.checkpoints.resolve import resolve
from harness.exceptions import BadValue
from harness.models import MODELS
from harness.models.base import Model
from harness.models.hf import HfModel, HfSettings
from harness.progress import Progress, silent

if TYPE_CHECKING:
    from harness.models.weights import WeightsPool

_pool: list[WeightsPool] = []


def shared_pool() -> WeightsPool:
    """The process's one pool of loaded weights."""
    if not _pool:
        from harness.models.weights import WeightsPool

        _pool.append(WeightsPool())
    return _pool[0]


def open_model(
    spec: str | Path | Mapping[str, Any],
    settings: HfSettings | None = None,
    *,
    allow_pickle: bool = False,
    progress: Progress = silent,
) -> Model:
    """Open an alias, folder, .gguf file, hub id, `lm_eval:NAME`, or a plugin spec `{kind: {setting: value}}`.

    Weights are not loaded until they are needed; a name that cannot be resolved raises an InputError now.
    """
    if isinstance(spec, Mapping):
        return MODELS.create(spec)
    name = str(spec)
    kind, colon, rest = name.partition(":")
    if colon and rest and kind in MODELS.names() and not Path(name).exists():
        return _from_text(kind, name)
    settings = settings or HfSettings()
    allow_pickle = allow_pickle or settings.allow_pickle
    found = resolve(name, allow_pickle=allow_pickle, progress=progress)
    settings = replace(settings, allow_pickle=allow_pickle)
    return HfModel(name, found.folder, found.adapter, settings, shared_pool())


def _from_text(kind: str, spec: str) -> Model:
    """A model whose kind reads `KIND:REST` itself, in a class method `from_spec`."""
    read = getattr(MODELS.factory(kind), "from_spec", None)
    if read is None:
        raise BadValue("model", spec, f"given with its settings, as {{{kind}: {{setting: value}}}}")
    model: Model = read(spec)
    return model
