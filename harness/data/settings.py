"""Settings of data preparation; a bad value raises here, before any file is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.data.columns import check_mapping
from harness.data.duplicates import NEAR_DUPLICATE_THRESHOLD
from harness.data.lengths import check_side
from harness.data.split import SplitSettings
from harness.data.templates import get_template
from harness.exceptions import BadValue


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Where the data is and what preparation does to it; the `data:` block of an experiment file."""

    path: str
    """A .jsonl, .json, .csv, .tsv or .parquet file, or a hub set (`name`, `name:config`, `name@split`)."""
    template: str = "chat"
    """Name of a prompt template, or Jinja text."""
    columns: Mapping[str, str] | None = None
    """Sample field (input, target, context) -> column; None recognises the column set."""
    split: SplitSettings = field(default_factory=SplitSettings)
    near_duplicate_threshold: float = NEAR_DUPLICATE_THRESHOLD
    """Jaccard similarity from which a row counts as a near-duplicate; 1 drops only equal word sets."""
    max_length: int = 1024
    """Longest sequence in tokens, prompt plus answer, that training keeps whole."""
    truncation_side: str = "right"
    """End that is cut off: "right" loses the end of the answer, "left" the start of the prompt."""
    test_path: str | None = None
    """A separate test file; then `split.test` is not used and all of `path` is training and validation."""
    limit: int | None = None
    """Use only the first rows of `path`."""

    def __post_init__(self) -> None:
        if not isinstance(self.path, str) or not self.path.strip():
            raise BadValue("data.path", self.path, "a file or the name of a data set")
        get_template(self.template)
        if self.columns is not None:
            check_mapping(self.columns)
        threshold = self.near_duplicate_threshold
        if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 < threshold <= 1:
            raise BadValue("data.near_duplicate_threshold", threshold, "above 0 and at most 1")
        _check_count("data.max_length", self.max_length)
        check_side(self.truncation_side)
        if self.test_path is not None and not self.test_path.strip():
            raise BadValue("data.test_path", self.test_path, "a file or the name of a data set")
        if self.limit is not None:
            _check_count("data.limit", self.limit)


def _check_count(setting: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadValue(setting, value, "a whole number, 1 or more")
