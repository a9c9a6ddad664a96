"""The kinds of models, by name. Each loads its libraries only when it is first asked."""

from harness.models.base import Model
from harness.models.openai import OpenAIModel
from harness.models.scripted import ScriptedModel
from harness.registry import Registry

BUILT_IN = (
    ("openai", OpenAIModel),
    ("scripted", ScriptedModel),
)

MODELS: Registry[Model] = Registry("model", "harness.models")
for _name, _factory in BUILT_IN:
    MODELS.add(_name, _factory)

__all__ = ["BUILT_IN", "MODELS", "Model", "OpenAIModel", "ScriptedModel"]
