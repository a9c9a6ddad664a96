"""From a data file to training, validation and test samples with a data card."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.data.cards import column_warnings, leak_warnings, length_warnings, split_warnings
from harness.data.columns import map_rows
from harness.data.duplicates import remove_duplicates
from harness.data.groups import question_groups
from harness.data.leaks import find_leaks
from harness.data.lengths import TokenCounter, length_histogram, token_lengths
from harness.data.loading import LoadedRows, load_rows
from harness.data.prepared import Prepared
from harness.data.settings import DataSettings
from harness.data.similarity import question_text
from harness.data.split import Split, hold_out_validation, split_samples
from harness.data.templates import PromptTemplate, get_template
from harness.progress import Progress, silent
from harness.records import DataCard, LengthHistogram, Sample, prompt_text

STAGE = "prepare"
_STEPS = 5
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class _Cleaned:
    """One file after reading and removal of duplicates."""

    loaded: LoadedRows
    columns: str
    samples: tuple[Sample, ...]
    skipped: dict[str, int]
    exact: int
    near: int
    warnings: tuple[str, ...]


def prepare(
    settings: DataSettings, count: TokenCounter | None = None, progress: Progress = silent
) -> Prepared:
    """Read, map, clean and split the data, look for leaks and measure lengths.

    count: tokens of (prompt, answer) pairs; without it the card has no lengths. With `settings.test_path` the
    test samples come from that file, and the card's counts and digest cover both files (digests joined by
    "+"). Always rows = kept + skipped + exact duplicates + near-duplicates. Raises InputError.
    """
    template = get_template(settings.template)
    progress(STAGE, 0, _STEPS, "reading")
    files = [_clean(settings.path, settings, settings.limit, "row")]
    if settings.test_path is not None:
        files.append(_clean(settings.test_path, settings, None, "test-row"))
    progress(STAGE, 1, _STEPS, "splitting")
    split = _split(settings, files)
    progress(STAGE, 2, _STEPS, "looking for leaks")
    leaks = find_leaks(split.test, split.train, seed=settings.split.seed)
    progress(STAGE, 3, _STEPS, "rendering prompts")
    everything = (*split.train, *split.validation, *split.test)
    examples = _render(template, everything)[:_EXAMPLES]
    progress(STAGE, 4, _STEPS, "counting tokens")
    lengths = _lengths(settings, template, count, everything)
    warnings = (
        *(warning for file in files for warning in file.warnings),
        *_text_warnings(everything, settings.template),
        *split_warnings(split, settings.split, len(files) > 1),
        *leak_warnings(leaks, len(split.test)),
        *length_warnings(lengths),
    )
    card = _card(settings, files, split)
    card = replace(card, leaks=leaks, lengths=lengths, examples=examples, warnings=warnings)
    progress(STAGE, _STEPS, _STEPS)
    return Prepared(split.train, split.validation, split.test, card)


def _clean(source: str, settings: DataSettings, limit: int | None, prefix: str) -> _Cleaned:
    loaded = load_rows(source)
    if limit is not None:
        loaded = replace(loaded, rows=loaded.rows[:limit])
    mapped = map_rows(loaded, settings.columns, prefix)
    mapped.check_usable(source)
    unique = remove_duplicates(mapped.samples, settings.near_duplicate_threshold, settings.split.seed)
    return _Cleaned(
        loaded=loaded,
        columns=mapped.columns.label,
        samples=unique.kept,
        skipped=mapped.skipped_counts,
        exact=len(unique.exact),
        near=len(unique.near),
        warnings=tuple(column_warnings(source, mapped)),
    )


def _split(settings: DataSettings, files: Sequence[_Cleaned]) -> Split:
    samples = files[0].samples
    threshold, seed = settings.near_duplicate_threshold, settings.split.seed
    groups = question_groups(samples, near_duplicate_threshold=threshold, seed=seed)
    if len(files) == 1:
        return split_samples(samples, settings.split, groups)
    return replace(hold_out_validation(samples, settings.split, groups), test=files[1].samples)


def _render(template: PromptTemplate, samples: Sequence[Sample]) -> tuple[tuple[str, str], ...]:
    """Every sample is rendered, so that a template that fails on one of them fails here."""
    return tuple((prompt_text(template.prompt(sample)), template.completion(sample)) for sample in samples)


def _lengths(
    settings: DataSettings, template: PromptTemplate, count: TokenCounter | None, samples: Sequence[Sample]
) -> LengthHistogram | None:
    if count is None:
        return None
    lengths = token_lengths(samples, template, count)
    return length_histogram(lengths, settings.max_length, settings.truncation_side)


def _text_warnings(samples: Sequence[Sample], template: str) -> list[str]:
    if any(question_text(sample) for sample in samples):
        return []
    return [f"The rows are plain text without questions. They are used as they stand, without {template!r}."]


def _card(settings: DataSettings, files: Sequence[_Cleaned], split: Split) -> DataCard:
    skipped: dict[str, int] = {}
    for file in files:
        for reason, number in file.skipped.items():
            skipped[reason] = skipped.get(reason, 0) + number
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    return DataCard(
        source=" + ".join(file.loaded.source for file in files),
        digest="+".join(file.loaded.digest for file in files),
        columns=" + ".join(dict.fromkeys(file.columns for file in files)),
        template=settings.template,
        rows=sum(len(file.loaded.rows) for file in files),
        kept=sum(len(part) for part in parts.values()),
        skipped=skipped,
        exact_duplicates=sum(file.exact for file in files),
        near_duplicates=sum(file.near for file in files),
        near_duplicate_threshold=settings.near_duplicate_threshold,
        splits={side: len(part) for side, part in parts.items()},
        seed=settings.split.seed,
        leaks=(),
        lengths=None,
        examples=(),
    )
