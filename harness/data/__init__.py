"""Data preparation: from a file or hub name to split samples with a data card.

`prepare` does all of it; the modules beside it hold one step each.
"""

from harness.data.prepare import prepare
from harness.data.prepared import Prepared, read_prepared, write_prepared
from harness.data.samples_file import read_samples, write_samples
from harness.data.settings import DataSettings
from harness.data.split import SplitSettings
from harness.data.templates import PromptTemplate, get_template

__all__ = [
    "DataSettings",
    "Prepared",
    "PromptTemplate",
    "SplitSettings",
    "get_template",
    "prepare",
    "read_prepared",
    "read_samples",
    "write_prepared",
    "write_samples",
]
