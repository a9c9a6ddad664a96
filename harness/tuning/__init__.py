"""Fine-tuning: the only room that imports trl. Nothing heavy is loaded before `finetune` has work to do."""

from harness.tuning.run import finetune
from harness.tuning.saves import complete_checkpoints
from harness.tuning.settings import METHODS, TuneSettings

__all__ = ["METHODS", "TuneSettings", "complete_checkpoints", "finetune"]
