"""Tasks and models run through lm-eval. Importing this adds the model kind `lm_eval`."""

from harness.benchmarks.lm_eval_model import PREFIX, LmEvalModel
from harness.models import MODELS

MODELS.add(PREFIX, LmEvalModel)

__all__ = ["LmEvalModel"]
