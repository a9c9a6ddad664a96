"""Fine-tuning: the only room that imports trl. Nothing heavy is loaded before `finetune` has work to do."""

from harness.tuning.loading import check_model_folder
from harness.tuning.run import finetune
from harness.tuning.saves import complete_checkpoints, stored_training
from harness.tuning.settings import METHODS, TuneSettings

__all__ = [
    "METHODS",
    "TuneSettings",
    "check_model_folder",
    "complete_checkpoints",
    "finetune",
    "stored_training",
]
